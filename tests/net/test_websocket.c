// The frame codec, against the 246 functional cases of the public WebSocket conformance
// suite (its numbers, its inputs; sections 1 to 7) and against what TRUST 2 adds. Each
// row is fed whole, cut in two at every byte, byte by byte and in odd runs, and every
// way must tell the same.
#include "t.h"
#include "core/limits.h"
#include "frames.h"
#include "net/websocket.h"

#define CUTS_MAX 1500u // streams up to this long are cut at every byte
#define ODD      997u  // and all are fed in runs of this many

typedef struct row {
    const char *name, *sent, *told;
} row;

static const row conformance[] = {
    // 1 Framing
    {"1.1.1", "text", "text"},
    {"1.1.2", "text=*125", "text=*125"},
    {"1.1.3", "text=*126", "text=*126"},
    {"1.1.4", "text=*127", "text=*127"},
    {"1.1.5", "text=*128", "text=*128"},
    {"1.1.6", "text=*65535", "text=*65535"},
    {"1.1.7", "text=*65536", "text=*65536"},
    {"1.1.8", "text=*65536", "text=*65536"}, // in runs of 997, as all are
    {"1.2.1", "bin", "bin"},
    {"1.2.2", "bin=x00fe+*123", "bin=x00fe+*123"},
    {"1.2.3", "bin=xfe+*125", "bin=xfe+*125"},
    {"1.2.4", "bin=xfe+*126", "bin=xfe+*126"},
    {"1.2.5", "bin=xfe+*127", "bin=xfe+*127"},
    {"1.2.6", "bin=xfe+*65534", "bin=xfe+*65534"},
    {"1.2.7", "bin=xfe+*65535", "bin=xfe+*65535"},
    {"1.2.8", "bin=xfe+*65535", "bin=xfe+*65535"},
    // 2 Pings and pongs
    {"2.1", "ping", "ping"},
    {"2.2", "ping='Hello, world!'", "ping='Hello, world!'"},
    {"2.3", "ping=x00fffefdfcfb00ff", "ping=x00fffefdfcfb00ff"},
    {"2.4", "ping=xfe+*124", "ping=xfe+*124"},
    {"2.5", "ping=xfe+*125", "fail=c1002"},
    {"2.6", "ping=xfe+*124", "ping=xfe+*124"},
    {"2.7", "pong", "pong"},
    {"2.8", "pong='unsolicited pong payload'", "pong='unsolicited pong payload'"},
    {"2.9", "pong='unsolicited pong payload' ping='ping payload'",
     "pong='unsolicited pong payload' ping='ping payload'"},
    {"2.10",
     "ping='0' ping='1' ping='2' ping='3' ping='4' ping='5' ping='6' ping='7' "
     "ping='8' ping='9'",
     "ping='0' ping='1' ping='2' ping='3' ping='4' ping='5' ping='6' ping='7' "
     "ping='8' ping='9'"},
    {"2.11",
     "ping='p-0' ping='p-1' ping='p-2' ping='p-3' ping='p-4' ping='p-5' ping='p-6' "
     "ping='p-7' ping='p-8' ping='p-9'",
     "ping='p-0' ping='p-1' ping='p-2' ping='p-3' ping='p-4' ping='p-5' ping='p-6' "
     "ping='p-7' ping='p-8' ping='p-9'"},
    // 3 Reserved bits
    {"3.1", "text/1='Hello, world!'", "fail=c1002"},
    {"3.2", "text='Hello, world!' text/2='Hello, world!' ping",
     "text='Hello, world!' fail=c1002"},
    {"3.3", "text='Hello, world!' text/3='Hello, world!' ping",
     "text='Hello, world!' fail=c1002"},
    {"3.4", "text='Hello, world!' text/4='Hello, world!' ping",
     "text='Hello, world!' fail=c1002"},
    {"3.5", "bin/5=x00ff00ff00ff00ff", "fail=c1002"},
    {"3.6", "ping/6='Hello, world!'", "fail=c1002"},
    {"3.7", "close/7=c1000", "fail=c1002"},
    // 4 Opcodes
    {"4.1.1", "op3", "fail=c1002"},
    {"4.1.2", "op4='reserved opcode payload'", "fail=c1002"},
    {"4.1.3", "text='Hello, world!' op5 ping", "text='Hello, world!' fail=c1002"},
    {"4.1.4", "text='Hello, world!' op6='Hello, world!' ping",
     "text='Hello, world!' fail=c1002"},
    {"4.1.5", "text='Hello, world!' op7='Hello, world!' ping",
     "text='Hello, world!' fail=c1002"},
    {"4.2.1", "op11", "fail=c1002"},
    {"4.2.2", "op12='reserved opcode payload'", "fail=c1002"},
    {"4.2.3", "text='Hello, world!' op13 ping", "text='Hello, world!' fail=c1002"},
    {"4.2.4", "text='Hello, world!' op14='Hello, world!' ping",
     "text='Hello, world!' fail=c1002"},
    {"4.2.5", "text='Hello, world!' op15='Hello, world!' ping",
     "text='Hello, world!' fail=c1002"},
    // 5 Fragmentation
    {"5.1", "ping-='fragment1' cont='fragment2'", "fail=c1002"},
    {"5.2", "pong-='fragment1' cont='fragment2'", "fail=c1002"},
    {"5.3", "text-='fragment1' cont='fragment2'", "text='fragment1fragment2'"},
    {"5.4", "text-='fragment1' cont='fragment2'", "text='fragment1fragment2'"},
    {"5.5", "text-='fragment1' cont='fragment2'", "text='fragment1fragment2'"},
    {"5.6", "text-='fragment1' ping='ping payload' cont='fragment2'",
     "ping='ping payload' text='fragment1fragment2'"},
    {"5.7", "text-='fragment1' ping='ping payload' cont='fragment2'",
     "ping='ping payload' text='fragment1fragment2'"},
    {"5.8", "text-='fragment1' ping='ping payload' cont='fragment2'",
     "ping='ping payload' text='fragment1fragment2'"},
    {"5.9", "cont='non-continuation payload' text='Hello, world!'", "fail=c1002"},
    {"5.10", "cont='non-continuation payload' text='Hello, world!'", "fail=c1002"},
    {"5.11", "cont='non-continuation payload' text='Hello, world!'", "fail=c1002"},
    {"5.12", "cont-='non-continuation payload' text='Hello, world!'", "fail=c1002"},
    {"5.13", "cont-='non-continuation payload' text='Hello, world!'", "fail=c1002"},
    {"5.14", "cont-='non-continuation payload' text='Hello, world!'", "fail=c1002"},
    {"5.15",
     "text-='fragment1' cont='fragment2' cont-='fragment3' text='fragment4'",
     "text='fragment1fragment2' fail=c1002"},
    {"5.16",
     "cont-='fragment1' text-='fragment2' cont='fragment3' cont-='fragment4' "
     "text-='fragment5' cont='fragment6'",
     "fail=c1002"},
    {"5.17",
     "cont='fragment1' text-='fragment2' cont='fragment3' cont='fragment4' "
     "text-='fragment5' cont='fragment6'",
     "fail=c1002"},
    {"5.18", "text-='fragment1' text='fragment2'", "fail=c1002"},
    {"5.19",
     "text-='fragment1' cont-='fragment2' ping='pongme 1!' cont-='fragment3' "
     "cont-='fragment4' ping='pongme 2!' cont='fragment5'",
     "ping='pongme 1!' ping='pongme 2!' "
     "text='fragment1fragment2fragment3fragment4fragment5'"},
    {"5.20",
     "text-='fragment1' cont-='fragment2' ping='pongme 1!' cont-='fragment3' "
     "cont-='fragment4' ping='pongme 2!' cont='fragment5'",
     "ping='pongme 1!' ping='pongme 2!' "
     "text='fragment1fragment2fragment3fragment4fragment5'"},
    // 6 UTF-8, 6.5 to 6.23 from the vectors below
    {"6.1.1", "text", "text"},
    {"6.1.2", "text- cont- cont", "text"},
    {"6.1.3", "text- cont-='middle frame payload' cont",
     "text='middle frame payload'"},
    {"6.2.1", "text='Hello-'+xc2b540c39fc3b6c3a4c3bcc3a0c3a1+'-UTF-8!!'",
     "text='Hello-'+xc2b540c39fc3b6c3a4c3bcc3a0c3a1+'-UTF-8!!'"},
    {"6.2.2", "text-='Hello-'+xc2b540c39fc3b6c3a4 cont=xc3bcc3a0c3a1+'-UTF-8!!'",
     "text='Hello-'+xc2b540c39fc3b6c3a4c3bcc3a0c3a1+'-UTF-8!!'"},
    {"6.2.3",
     "text-='H' cont-=xc2 cont-=xb5 cont-=x40 cont-=xc3 cont-=x9f cont-=xc3 "
     "cont-=xb6 cont='!'",
     "text='H'+xc2b540c39fc3b6+'!'"},
    {"6.2.4",
     "text-=xce cont-=xba cont-=xe1 cont-=xbd cont-=xb9 cont-=xcf cont-=x83 "
     "cont-=xce cont-=xbc cont-=xce cont-=xb5 cont",
     "text=xcebae1bdb9cf83cebcceb5"},
    {"6.3.1", "text=xcebae1bdb9cf83cebcceb5eda080656469746564", "fail=c1007"},
    {"6.3.2",
     "text-=xce cont-=xba cont-=xe1 cont-=xbd cont-=xb9 cont-=xcf cont-=x83 "
     "cont-=xce cont-=xbc cont-=xce cont-=xb5 cont-=xed cont-=xa0 cont-=x80 "
     "cont-=x65 cont=x64",
     "fail=c1007"},
    {"6.4.1", "text-=xcebae1bdb9cf83cebcceb5 cont-=xf4908080 cont=x656469746564",
     "fail=c1007"},
    {"6.4.2", "text-=xcebae1bdb9cf83cebcceb5f4 cont-=x90 cont=x8080656469746564",
     "fail=c1007"},
    {"6.4.3", "text=xcebae1bdb9cf83cebcceb5f4908080656469746564", "fail=c1007"},
    {"6.4.4", "text=xcebae1bdb9cf83cebcceb5f4908080656469746564", "fail=c1007"},
    // 7 Closing
    {"7.1.1", "text='Hello World!' close=c1000", "text='Hello World!' close=c1000"},
    {"7.1.2", "close=c1000 close=c1000", "close=c1000"},
    {"7.1.3", "close=c1000 ping", "close=c1000"},
    {"7.1.4", "close=c1000 text='Hello World!'", "close=c1000"},
    {"7.1.5", "text-='fragment1' close=c1000 cont='fragment2'", "close=c1000"},
    {"7.1.6", "text=*262144 text='Hello World!' close=c1000 ping",
     "text=*262144 text='Hello World!' close=c1000"},
    {"7.3.1", "close", "close"},
    {"7.3.2", "close='a'", "fail=c1002"},
    {"7.3.3", "close=c1000", "close=c1000"},
    {"7.3.4", "close=c1000+'Hello World!'", "close=c1000+'Hello World!'"},
    {"7.3.5", "close=c1000+*123", "close=c1000+*123"},
    {"7.3.6", "close=c1000+*124", "fail=c1002"},
    {"7.5.1", "close=c1000+xcebae1bdb9cf83cebcceb5eda080656469746564",
     "fail=c1007"},
    {"7.7.1", "close=c1000", "close=c1000"},
    {"7.7.2", "close=c1001", "close=c1001"},
    {"7.7.3", "close=c1002", "close=c1002"},
    {"7.7.4", "close=c1003", "close=c1003"},
    {"7.7.5", "close=c1007", "close=c1007"},
    {"7.7.6", "close=c1008", "close=c1008"},
    {"7.7.7", "close=c1009", "close=c1009"},
    {"7.7.8", "close=c1010", "close=c1010"},
    {"7.7.9", "close=c1011", "close=c1011"},
    {"7.7.10", "close=c3000", "close=c3000"},
    {"7.7.11", "close=c3999", "close=c3999"},
    {"7.7.12", "close=c4000", "close=c4000"},
    {"7.7.13", "close=c4999", "close=c4999"},
    {"7.9.1", "close=c0", "fail=c1002"},
    {"7.9.2", "close=c999", "fail=c1002"},
    {"7.9.3", "close=c1004", "fail=c1002"},
    {"7.9.4", "close=c1005", "fail=c1002"},
    {"7.9.5", "close=c1006", "fail=c1002"},
    {"7.9.6", "close=c1016", "fail=c1002"},
    {"7.9.7", "close=c1100", "fail=c1002"},
    {"7.9.8", "close=c2000", "fail=c1002"},
    {"7.9.9", "close=c2999", "fail=c1002"},
    {"7.13.1", "close=c5000", "fail=c1002"},
    {"7.13.2", "close=c65535", "fail=c1002"},
};

// 6.5 to 6.23: after Markus Kuhn's UTF-8 decoder stress test. `from` to `to` stand for
// one text made of all these bytes, each followed by `then` if that is not empty.
static const struct {
    const char *name, *hex;
    bool valid;
    uint8_t from, to;
    const char *then;
} vectors[] = {
    // correct text
    {"6.5.1", "68656c6c6f24776f726c64", true, 0, 0, ""},
    {"6.5.2", "68656c6c6fc2a2776f726c64", true, 0, 0, ""},
    {"6.5.3", "68656c6c6fe282ac776f726c64", true, 0, 0, ""},
    {"6.5.4", "68656c6c6ff0a4ada2776f726c64", true, 0, 0, ""},
    {"6.5.5", "cebae1bdb9cf83cebcceb5", true, 0, 0, ""},
    // all prefixes of it
    {"6.6.1", "ce", false, 0, 0, ""},
    {"6.6.2", "ceba", true, 0, 0, ""},
    {"6.6.3", "cebae1", false, 0, 0, ""},
    {"6.6.4", "cebae1bd", false, 0, 0, ""},
    {"6.6.5", "cebae1bdb9", true, 0, 0, ""},
    {"6.6.6", "cebae1bdb9cf", false, 0, 0, ""},
    {"6.6.7", "cebae1bdb9cf83", true, 0, 0, ""},
    {"6.6.8", "cebae1bdb9cf83ce", false, 0, 0, ""},
    {"6.6.9", "cebae1bdb9cf83cebc", true, 0, 0, ""},
    {"6.6.10", "cebae1bdb9cf83cebcce", false, 0, 0, ""},
    {"6.6.11", "cebae1bdb9cf83cebcceb5", true, 0, 0, ""},
    // the first sequence of each length
    {"6.7.1", "00", true, 0, 0, ""},
    {"6.7.2", "c280", true, 0, 0, ""},
    {"6.7.3", "e0a080", true, 0, 0, ""},
    {"6.7.4", "f0908080", true, 0, 0, ""},
    {"6.8.1", "f888808080", false, 0, 0, ""},
    {"6.8.2", "fc8480808080", false, 0, 0, ""},
    // the last of each
    {"6.9.1", "7f", true, 0, 0, ""},
    {"6.9.2", "dfbf", true, 0, 0, ""},
    {"6.9.3", "efbfbf", true, 0, 0, ""},
    {"6.9.4", "f48fbfbf", true, 0, 0, ""},
    {"6.10.1", "f7bfbfbf", false, 0, 0, ""},
    {"6.10.2", "fbbfbfbfbf", false, 0, 0, ""},
    {"6.10.3", "fdbfbfbfbfbf", false, 0, 0, ""},
    // other boundaries
    {"6.11.1", "ed9fbf", true, 0, 0, ""},
    {"6.11.2", "ee8080", true, 0, 0, ""},
    {"6.11.3", "efbfbd", true, 0, 0, ""},
    {"6.11.4", "f48fbfbf", true, 0, 0, ""},
    {"6.11.5", "f4908080", false, 0, 0, ""},
    // stray continuation bytes
    {"6.12.1", "80", false, 0, 0, ""},
    {"6.12.2", "bf", false, 0, 0, ""},
    {"6.12.3", "80bf", false, 0, 0, ""},
    {"6.12.4", "80bf80", false, 0, 0, ""},
    {"6.12.5", "80bf80bf", false, 0, 0, ""},
    {"6.12.6", "80bf80bf80", false, 0, 0, ""},
    {"6.12.7", "80bf80bf80bf", false, 0, 0, ""},
    {"6.12.8", "", false, 0x80, 0xbe, ""},
    // lonely lead bytes
    {"6.13.1", "", false, 0xc0, 0xde, " "},
    {"6.13.2", "", false, 0xe0, 0xee, " "},
    {"6.13.3", "", false, 0xf0, 0xf6, " "},
    {"6.13.4", "", false, 0xf8, 0xfa, " "},
    {"6.13.5", "", false, 0xfc, 0xfc, " "},
    // the last continuation byte is missing
    {"6.14.1", "c0", false, 0, 0, ""},
    {"6.14.2", "e080", false, 0, 0, ""},
    {"6.14.3", "f08080", false, 0, 0, ""},
    {"6.14.4", "f8808080", false, 0, 0, ""},
    {"6.14.5", "fc80808080", false, 0, 0, ""},
    {"6.14.6", "df", false, 0, 0, ""},
    {"6.14.7", "efbf", false, 0, 0, ""},
    {"6.14.8", "f7bfbf", false, 0, 0, ""},
    {"6.14.9", "fbbfbfbf", false, 0, 0, ""},
    {"6.14.10", "fdbfbfbfbf", false, 0, 0, ""},
    {"6.15.1", "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf",
     false, 0, 0, ""},
    // impossible bytes
    {"6.16.1", "fe", false, 0, 0, ""},
    {"6.16.2", "ff", false, 0, 0, ""},
    {"6.16.3", "fefeffff", false, 0, 0, ""},
    // overlong
    {"6.17.1", "c0af", false, 0, 0, ""},
    {"6.17.2", "e080af", false, 0, 0, ""},
    {"6.17.3", "f08080af", false, 0, 0, ""},
    {"6.17.4", "f8808080af", false, 0, 0, ""},
    {"6.17.5", "fc80808080af", false, 0, 0, ""},
    {"6.18.1", "c1bf", false, 0, 0, ""},
    {"6.18.2", "e09fbf", false, 0, 0, ""},
    {"6.18.3", "f08fbfbf", false, 0, 0, ""},
    {"6.18.4", "f887bfbfbf", false, 0, 0, ""},
    {"6.18.5", "fc83bfbfbfbf", false, 0, 0, ""},
    {"6.19.1", "c080", false, 0, 0, ""},
    {"6.19.2", "e08080", false, 0, 0, ""},
    {"6.19.3", "f0808080", false, 0, 0, ""},
    {"6.19.4", "f880808080", false, 0, 0, ""},
    {"6.19.5", "fc8080808080", false, 0, 0, ""},
    // surrogates, alone and in pairs
    {"6.20.1", "eda080", false, 0, 0, ""},
    {"6.20.2", "edadbf", false, 0, 0, ""},
    {"6.20.3", "edae80", false, 0, 0, ""},
    {"6.20.4", "edafbf", false, 0, 0, ""},
    {"6.20.5", "edb080", false, 0, 0, ""},
    {"6.20.6", "edbe80", false, 0, 0, ""},
    {"6.20.7", "edbfbf", false, 0, 0, ""},
    {"6.21.1", "eda080edb080", false, 0, 0, ""},
    {"6.21.2", "eda080edbfbf", false, 0, 0, ""},
    {"6.21.3", "edadbfedb080", false, 0, 0, ""},
    {"6.21.4", "edadbfedbfbf", false, 0, 0, ""},
    {"6.21.5", "edae80edb080", false, 0, 0, ""},
    {"6.21.6", "edae80edbfbf", false, 0, 0, ""},
    {"6.21.7", "edafbfedb080", false, 0, 0, ""},
    {"6.21.8", "edafbfedbfbf", false, 0, 0, ""},
    // code points that are no characters, and are valid
    {"6.22.1", "efbfbe", true, 0, 0, ""},
    {"6.22.2", "efbfbf", true, 0, 0, ""},
    {"6.22.3", "f09fbfbe", true, 0, 0, ""},
    {"6.22.4", "f09fbfbf", true, 0, 0, ""},
    {"6.22.5", "f0afbfbe", true, 0, 0, ""},
    {"6.22.6", "f0afbfbf", true, 0, 0, ""},
    {"6.22.7", "f0bfbfbe", true, 0, 0, ""},
    {"6.22.8", "f0bfbfbf", true, 0, 0, ""},
    {"6.22.9", "f18fbfbe", true, 0, 0, ""},
    {"6.22.10", "f18fbfbf", true, 0, 0, ""},
    {"6.22.11", "f19fbfbe", true, 0, 0, ""},
    {"6.22.12", "f19fbfbf", true, 0, 0, ""},
    {"6.22.13", "f1afbfbe", true, 0, 0, ""},
    {"6.22.14", "f1afbfbf", true, 0, 0, ""},
    {"6.22.15", "f1bfbfbe", true, 0, 0, ""},
    {"6.22.16", "f1bfbfbf", true, 0, 0, ""},
    {"6.22.17", "f28fbfbe", true, 0, 0, ""},
    {"6.22.18", "f28fbfbf", true, 0, 0, ""},
    {"6.22.19", "f29fbfbe", true, 0, 0, ""},
    {"6.22.20", "f29fbfbf", true, 0, 0, ""},
    {"6.22.21", "f2afbfbe", true, 0, 0, ""},
    {"6.22.22", "f2afbfbf", true, 0, 0, ""},
    {"6.22.23", "f2bfbfbe", true, 0, 0, ""},
    {"6.22.24", "f2bfbfbf", true, 0, 0, ""},
    {"6.22.25", "f38fbfbe", true, 0, 0, ""},
    {"6.22.26", "f38fbfbf", true, 0, 0, ""},
    {"6.22.27", "f39fbfbe", true, 0, 0, ""},
    {"6.22.28", "f39fbfbf", true, 0, 0, ""},
    {"6.22.29", "f3afbfbe", true, 0, 0, ""},
    {"6.22.30", "f3afbfbf", true, 0, 0, ""},
    {"6.22.31", "f3bfbfbe", true, 0, 0, ""},
    {"6.22.32", "f3bfbfbf", true, 0, 0, ""},
    {"6.22.33", "f48fbfbe", true, 0, 0, ""},
    {"6.22.34", "f48fbfbf", true, 0, 0, ""},
    // specials
    {"6.23.1", "efbfb9", true, 0, 0, ""},
    {"6.23.2", "efbfba", true, 0, 0, ""},
    {"6.23.3", "efbfbb", true, 0, 0, ""},
    {"6.23.4", "efbfbc", true, 0, 0, ""},
    {"6.23.5", "efbfbd", true, 0, 0, ""},
    {"6.23.6", "efbfbe", true, 0, 0, ""},
    {"6.23.7", "efbfbf", true, 0, 0, ""},
};

// What the suite leaves out and we promise (TRUST 2 rows 15 and 17, RFC 6455 5.2).
static const row ours[] = {
    {"no mask", "text!='Hello'", "fail=c1002"},
    {"no mask on a close", "close!=c1000", "fail=c1002"},
    {"permessage-deflate, never negotiated", "text/4=xf248cdc9c90700",
     "fail=c1002"},
    {"126 for a length of 125", "raw=x81fe007d", "fail=c1002"},
    {"126 for none", "raw=x81fe0000", "fail=c1002"},
    {"127 for a length of 65535", "raw=x81ff000000000000ffff", "fail=c1002"},
    {"control frame with a long length", "raw=x89fe", "fail=c1002"},
    {"a message at the limit", "text=*1048576", "text=*1048576"},
    {"one past it", "raw=x81ff0000000000100001", "fail=c1009"},
    {"2^63-1", "raw=x81ff7fffffffffffffff", "fail=c1009"},
    {"2^64-4", "raw=x81fffffffffffffffffc", "fail=c1009"},
    {"2^63", "raw=x81ff8000000000000000", "fail=c1009"},
    {"4 GiB", "raw=x81ff0000000100000000", "fail=c1009"},
    {"4 GiB + 16", "raw=x82ff0000000100000010", "fail=c1009"},
    {"fragments that add up past the limit",
     "text-=*1048570 cont-=*6 ping raw=x8081", "ping fail=c1009"},
    {"a fragment that would wrap the sum", "text-=*16 raw=x80fffffffffffffffff0",
     "fail=c1009"},
    {"message inside a message, empty", "text- text", "fail=c1002"},
    {"binary inside text", "text-='a' bin='b'", "fail=c1002"},
    {"continuation after the end", "text-='a' cont='b' cont='c'",
     "text='ab' fail=c1002"},
    {"close between fragments, reason kept apart",
     "text-='a' ping='b' close=c1001+'gone'", "ping='b' close=c1001+'gone'"},
    {"text ends inside a character, fragmented", "text-=xe2 cont-=x82 cont",
     "fail=c1007"},
    {"a character begun before a ping", "text-=xe2 ping=x82 cont=x82ac",
     "ping=x82 text=xe282ac"},
    {"binary need not be UTF-8", "bin-=xff cont=xfe", "bin=xfffe"},
    {"the state of UTF-8 does not leak into the next message",
     "bin-=xe2 cont text=x82", "bin=xe2 fail=c1007"},
    {"eight plain bytes where a character must go on", "text=xe2+'abcdefgh'+x82ac",
     "fail=c1007"},
    {"a ping inside a message that is still empty",
     "text- ping='ping payload' cont='a' ping",
     "ping='ping payload' text='a' ping"},
    {"close code 1012", "close=c1012", "fail=c1002"},
    {"close code 1013", "close=c1013", "fail=c1002"},
    {"close code 1015", "close=c1015", "fail=c1002"},
    {"close reason ends inside a character", "close=c1000+xe282", "fail=c1007"},
    {"many messages at once",
     "text='a' text='b' bin=x00 text-='c' cont='d' text='e'",
     "text='a' text='b' bin=x00 text='cd' text='e'"},
};

static const row text_only[] = {
    {"binary where text is taken", "bin=x00", "fail=c1003"},
    {"judged from its first byte", "raw=x82", "fail=c1003"},
    {"text is", "text='a' ping", "text='a' ping"},
};

// Feeds `stream` in runs that end at `cut` and then every `step` bytes.
static void feed(const bytes *stream, size_t cut, size_t step, bool binary,
                 bytes *trace, t_memory *memory) {
    tm_alloc alloc = t_alloc(memory);
    tm_ws ws = {.alloc = &alloc, .message_max = TM_BODY_MAX, .binary = binary};
    // A copy of each run alone: a read outside it is the sanitizer's to see.
    for (size_t at = 0; at < stream->len;) {
        size_t end = at < cut ? cut : at + step;
        if (end > stream->len) end = stream->len;
        size_t len = end - at, used = 0;
        uint8_t *run = malloc(len);
        assert_non_null(run);
        memcpy(run, stream->ptr + at, len);
        tm_ws_event event;
        for (size_t done = 0;; done += used) {
            tm_status status =
                tm_ws_feed(&ws, run + done, len - done, &used, &event);
            if (status == TM_E_MORE) break;
            T_EQ(status, TM_OK);
            trace_event(trace, (int)event.kind, event.code, event.bytes);
        }
        free(run);
        if (ws.message == 0 && ws.head_len == 0) T_EQ(memory->live, 0);
        at = end;
    }
    tm_ws_deinit(&ws);
    T_EQ(memory->live, 0);
}

static bool same(const row *want, const bytes *told, const bytes *trace,
                 const char *way, size_t where) {
    if (trace->len == told->len && memcmp(trace->ptr, told->ptr, told->len) == 0)
        return true;
    print_error("%s, %s %zu: told %s, want %s\n", want->name, way, where,
                trace_text(trace), trace_text(told));
    return false;
}

static int check(const row *want, const bytes *stream, bool binary) {
    t_row = want->name;
    bytes told = {0}, trace = {0};
    frames_trace(want->told, &told);
    if (told.ptr == NULL) bytes_put(&told, "", 0);
    int failed = 0;
    const struct {
        const char *name;
        size_t cut, step;
    } ways[] = {
        {"whole", stream->len, 1}, {"byte by byte", 0, 1}, {"in runs", 0, ODD}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        t_memory memory = {0};
        trace.len = 0;
        feed(stream, ways[i].cut, ways[i].step, binary, &trace, &memory);
        if (!same(want, &told, &trace, ways[i].name, 0)) failed++;
    }
    size_t stride = stream->len <= CUTS_MAX ? 1 : stream->len / 23;
    for (size_t cut = 1; cut < stream->len; cut += cut < 20 ? 1 : stride) {
        t_memory memory = {0};
        trace.len = 0;
        feed(stream, cut, stream->len, binary, &trace, &memory);
        if (!same(want, &told, &trace, "cut at", cut)) failed++;
    }
    bytes_free(&told);
    bytes_free(&trace);
    return failed;
}

static void check_rows(const row *rows, size_t count, bool binary) {
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        bytes stream = {0};
        frames_client(rows[i].sent, &stream);
        failed += check(&rows[i], &stream, binary);
        bytes_free(&stream);
    }
    T_EQ(failed, 0);
}

static void test_conformance(void **state) {
    (void)state;
    T_EQ(COUNT(conformance) + COUNT(vectors), 246);
    check_rows(conformance, COUNT(conformance), true);
}

static void test_ours(void **state) {
    (void)state;
    check_rows(ours, COUNT(ours), true);
    check_rows(text_only, COUNT(text_only), false);
}

static void vector_bytes(size_t i, bytes *to) {
    char piece[80];
    snprintf(piece, sizeof piece, "x%s", vectors[i].hex);
    frames_payload(piece, strlen(piece), to);
    for (unsigned b = vectors[i].from; b != 0 && b <= vectors[i].to; b++) {
        uint8_t byte = (uint8_t)b;
        bytes_put(to, &byte, 1);
        bytes_put(to, vectors[i].then, strlen(vectors[i].then));
    }
}

static void put_hex(char *to, const bytes *from, size_t begin, size_t end) {
    *to++ = 'x';
    for (size_t i = begin; i < end; i++)
        to += sprintf(to, "%02x", from->ptr[i]);
    *to = 0;
}

// Each vector in one frame, and in two fragments cut at every byte; and through the
// check alone, cut at every byte.
static void test_utf8(void **state) {
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        bytes text = {0};
        vector_bytes(i, &text);
        for (size_t cut = 0; cut <= text.len; cut++) {
            char first[200], rest[200], sent[500], told[300];
            put_hex(first, &text, 0, cut);
            put_hex(rest, &text, cut, text.len);
            if (cut == 0) {
                snprintf(sent, sizeof sent, "text=%s", rest);
            } else {
                snprintf(sent, sizeof sent, "text-=%s cont=%s", first, rest);
            }
            put_hex(first, &text, 0, text.len);
            snprintf(told, sizeof told, "text=%s", first);
            row one = {vectors[i].name, sent,
                       vectors[i].valid ? told : "fail=c1007"};
            bytes stream = {0};
            frames_client(sent, &stream);
            failed += check(&one, &stream, true);
            bytes_free(&stream);

            tm_utf8 utf8 = {0};
            bool valid =
                tm_utf8_feed(&utf8, (tm_span){text.ptr, cut}) &&
                tm_utf8_feed(&utf8, (tm_span){text.ptr + cut, text.len - cut}) &&
                tm_utf8_done(&utf8);
            if (valid != vectors[i].valid) {
                print_error("%s cut at %zu: valid %d\n", vectors[i].name, cut,
                            valid);
                failed++;
            }
        }
        bytes_free(&text);
    }
    T_EQ(failed, 0);
}

// Every code point there is, and every one there is not: the check against arithmetic.
static void test_utf8_all(void **state) {
    (void)state;
    for (uint32_t point = 0; point < 0x200000; point++) {
        uint8_t text[4];
        size_t len = 0;
        if (point < 0x80) {
            text[len++] = (uint8_t)point;
        } else if (point < 0x800) {
            text[len++] = (uint8_t)(0xc0 | point >> 6);
        } else if (point < 0x10000) {
            text[len++] = (uint8_t)(0xe0 | point >> 12);
            text[len++] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        } else {
            text[len++] = (uint8_t)(0xf0 | point >> 18);
            text[len++] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
            text[len++] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        }
        if (point >= 0x80) text[len++] = (uint8_t)(0x80 | (point & 0x3f));
        bool want = point < 0xd800 || (point > 0xdfff && point <= 0x10ffff);
        tm_utf8 utf8 = {0};
        bool got = tm_utf8_feed(&utf8, (tm_span){text, len}) && tm_utf8_done(&utf8);
        if (got != want) fail_msg("U+%04X: valid %d, want %d", point, got, want);
    }
}

// The refusal comes at the very byte that earns it, and what a header promises is never
// allocated.
static const struct {
    const char *name, *sent;
    size_t at; // bytes fed when it fails
    uint16_t code;
    size_t peak; // bytes of memory until then, at most
} early[] = {
    {"reserved bit", "raw=xc1fe", 1, 1002, 0},
    {"reserved opcode", "raw=x83fe", 1, 1002, 0},
    {"fragmented control", "raw=x0980", 1, 1002, 0},
    {"no mask", "raw=x8105", 2, 1002, 0},
    {"big control frame", "raw=x88fe0000", 2, 1002, 0},
    {"2^63-1: ten bytes of header", "raw=x81ff7fffffffffffffff00000000", 10, 1009,
     0},
    {"2^64-4", "raw=x81fffffffffffffffffc00000000", 10, 1009, 0},
    {"1 MiB + 1", "raw=x81ff000000000010000100000000", 10, 1009, 0},
    {"bad UTF-8 in the first byte of 1 MiB",
     "raw=x81ff000000000010000000000000+xff41", 15, 1007, 512},
    {"bad UTF-8 in the third fragment (6.4.1)",
     "text-=xceba cont-=xf4908080 cont=x65", 16, 1007, 512},
    {"bad continuation in the middle of a frame (6.4.3)",
     "raw=x819900000000+xcebae1bdb9cf83cebcceb5f4908080656469746564", 19, 1007,
     512},
};

static void test_early(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(early); i++) {
        bytes stream = {0};
        frames_client(early[i].sent, &stream);
        t_memory memory = {0};
        tm_alloc alloc = t_alloc(&memory);
        tm_ws ws = {.alloc = &alloc, .message_max = TM_BODY_MAX, .binary = true};
        tm_ws_event event = {0};
        size_t at = 0, used = 0;
        tm_status status = TM_E_MORE;
        while (status == TM_E_MORE && at < stream.len) {
            status = tm_ws_feed(&ws, stream.ptr + at++, 1, &used, &event);
        }
        if (status != TM_OK || at != early[i].at || event.code != early[i].code ||
            memory.peak > early[i].peak || memory.live != 0)
            fail_msg("%s: status %d at %zu, code %u, peak %zu", early[i].name,
                     status, at, event.code, memory.peak);
        bytes_free(&stream);
    }
}

// A frame that promises a megabyte and delivers little costs little.
static void test_promise(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_ws ws = {.alloc = &alloc, .message_max = TM_BODY_MAX};
    bytes stream = {0};
    frames_client("raw=x81ff000000000010000000000000+*1000", &stream);
    tm_ws_event event;
    size_t used;
    T_EQ(tm_ws_feed(&ws, stream.ptr, stream.len, &used, &event), TM_E_MORE);
    T_TRUE(memory.bytes <= 2048);
    tm_ws_deinit(&ws);
    tm_ws_deinit(&ws);
    T_EQ(memory.live, 0);
    bytes_free(&stream);
}

// Refuse the k-th allocation, for every k: a close code, never a wrong message.
static void test_no_memory(void **state) {
    (void)state;
    bytes stream = {0}, told = {0};
    frames_client("text-=*300 ping='ping payload' cont=*3000 text='after' bin=*900",
                  &stream);
    frames_trace("ping='ping payload' text=*3300 text='after' bin=*900", &told);
    size_t calls = 0;
    for (size_t k = 0; k <= calls; k++) {
        t_memory memory = {.fail_at = k};
        bytes trace = {0};
        feed(&stream, 0, 7, true, &trace, &memory);
        if (k == 0) {
            calls = memory.requests;
            T_TRUE(calls >= 4);
            assert_memory_equal(trace.ptr, told.ptr, told.len);
        } else {
            const uint8_t last[] = {TM_WS_FAIL, 2, 0, 0, 0, 1011 >> 8, 1011 & 0xff};
            T_TRUE(trace.len >= sizeof last);
            size_t before = trace.len - sizeof last;
            assert_memory_equal(trace.ptr + before, last, sizeof last);
            T_TRUE(before <= told.len);
            if (before > 0) assert_memory_equal(trace.ptr, told.ptr, before);
        }
        bytes_free(&trace);
    }
    bytes_free(&stream);
    bytes_free(&told);
}

static const struct {
    uint64_t len;
    const char *head;
} heads[] = {
    {0, "x8100"},
    {125, "x817d"},
    {126, "x817e007e"},
    {65535, "x817effff"},
    {65536, "x817f0000000000010000"},
    {UINT64_C(0x7fffffffffffffff), "x817f7fffffffffffffff"},
};

static void test_encode(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        bytes want = {0};
        frames_payload(heads[i].head, strlen(heads[i].head), &want);
        uint8_t head[TM_WS_HEAD_MAX];
        T_EQ(tm_ws_head(head, TM_WS_OP_TEXT, heads[i].len), want.len);
        assert_memory_equal(head, want.ptr, want.len);
        bytes_free(&want);
    }
    uint8_t room[TM_WS_HEAD_MAX + 300];
    memset(room, '*', sizeof room);
    tm_span frame = tm_ws_wrap(room + TM_WS_HEAD_MAX, TM_WS_OP_TEXT, 300);
    assert_ptr_equal(frame.ptr, room + TM_WS_HEAD_MAX - 4);
    T_EQ(frame.len, 304);
    assert_memory_equal(frame.ptr, "\x81\x7e\x01\x2c***", 7);

    uint8_t out[2 + TM_WS_CONTROL_MAX];
    tm_span hi = TM_LIT("hi");
    T_EQ(tm_ws_control(out, TM_WS_OP_PONG, hi), 4);
    assert_memory_equal(out, "\x8a\x02hi", 4);
    T_EQ(tm_ws_close(out, TM_WS_NO_CODE, hi), 2);
    assert_memory_equal(out, "\x88\x00", 2);
    T_EQ(tm_ws_close(out, TM_WS_AWAY, hi), 6);
    assert_memory_equal(out, "\x88\x04\x03\xe9hi", 6);
    // A reason too long is cut, and not inside a character.
    uint8_t reason[200];
    memset(reason, 'a', sizeof reason);
    T_EQ(tm_ws_close(out, TM_WS_AWAY, (tm_span){reason, 200}), 127);
    memcpy(reason + 121, "\xe2\x82\xac", 3);
    T_EQ(tm_ws_close(out, TM_WS_AWAY, (tm_span){reason, 200}), 125);
    memcpy(reason + 120,
           "\xe2\x82\xac"
           "aa",
           5);
    T_EQ(tm_ws_close(out, TM_WS_AWAY, (tm_span){reason, 200}), 127);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance), cmocka_unit_test(test_ours),
        cmocka_unit_test(test_utf8),        cmocka_unit_test(test_utf8_all),
        cmocka_unit_test(test_early),       cmocka_unit_test(test_promise),
        cmocka_unit_test(test_no_memory),   cmocka_unit_test(test_encode),
    };
    return cmocka_run_group_tests_name("websocket", tests, NULL, NULL);
}

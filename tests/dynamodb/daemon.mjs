// daemon.mjs PROGRAM - the daemon and `tidemark tables` on the DynamoDB that TM_DYNAMODB
// names: without tables, with them, killed and started again. Prints TAP.
import { at, check, command, endpoint, serve as serveAt, until } from './kit.mjs';

const place = at(endpoint, 'daemon-');
const tables = (...words) => command('tables', ...words, ...place);
const serve = () => serveAt(endpoint, 'daemon-');

let seen = tables('check');
check('tables check names what is missing', seen.code === 1 && /daemon-operations: missing/.test(seen.out), seen);

let daemon = await serve();
check('the log says what to do', /"level":"ERROR","event":"store".*tidemark tables create/.test(daemon.log), daemon.log);
seen = await daemon.ready();
check('/readyz is red and says it', seen.status === 503 && /tables create/.test(seen.text), seen);
seen = await daemon.save(1);
check('a save is answered 503 with Retry-After', seen.status === 503 && Number(seen.again) > 0, seen);

seen = tables('create', '--json');
check('tables create makes both', seen.code === 0 && JSON.parse(seen.out).tables.every((one) => one.state === 'created' && one.onDemand), seen);
seen = tables('create');
check('and leaves them alone the second time', seen.code === 0 && (seen.out.match(/: well, paid by request/g) ?? []).length === 2, seen);
seen = tables('check', '--connections');
check('the table of connections is another matter', seen.code === 1 && /daemon-connections: missing/.test(seen.out), seen);
seen = tables('create', '--connections', '--json');
check('tables create --connections makes it, and its rows expire', seen.code === 0 && JSON.parse(seen.out).tables[2].state === 'created' && JSON.parse(seen.out).tables[2].expiry === 'on', seen);
seen = tables('check', '--connections');
check('and finds it well', seen.code === 0 && /daemon-connections: well, paid by request, expiry of rows on/.test(seen.out), seen);
seen = tables('check', '--json');
check('tables check is content', seen.code === 0 && JSON.parse(seen.out).ok === true, seen);

seen = await until(daemon.ready, ({ status }) => status === 200);
check('/readyz turns green without a restart', seen.status === 200, seen);
seen = await daemon.save(1);
check('and saves are accepted', seen.status === 200 && seen.body.acks[0].status === 'ok' && seen.body.head === 1, seen);
await daemon.save(2);
await daemon.stop('SIGKILL');

daemon = await serve();
seen = await daemon.list();
check('another daemon has what a killed one acknowledged', seen.version === 2 && seen.selectedImages.length === 2, seen);
seen = await daemon.save(2);
check('and knows it again', seen.status === 200 && seen.body.acks[0].status === 'duplicate', seen);
seen = await (await fetch(`${daemon.url}/metrics`)).text();
const metric = (name, kind) => Number(seen.match(new RegExp(`^tidemark_store_${name}{kind="${kind}",unit="[a-z]+"} (\\d+)$`, 'm'))?.[1]);
check(
  'a cold list cost one GetItem and one Query, and the metrics say so',
  metric('requests_total', 'load') === 1 && metric('requests_total', 'read') === 1 &&
    metric('capacity_milliunits_total', 'read') > 0 && metric('requests_total', 'append') === 0,
  seen.match(/^tidemark_store_(requests|cap).*$/gm),
);
const other = await serve();
seen = await other.save(3);
check('two daemons take turns', seen.status === 200 && seen.body.head === 3, seen);
seen = await daemon.save(4);
check('whoever comes second re-reads and goes on', seen.status === 200 && seen.body.head === 4, seen);
check('both end well', (await daemon.stop('SIGTERM')) === 0 && (await other.stop('SIGTERM')) === 0);

// What only reads, beside or without a daemon.
const reads = (name, ...words) => command(name, '--store', 'dynamodb', ...place, ...words);
const mine = ['--user', 'ann', '--list', 'selected-images'];
seen = reads('log', '--json', ...mine, '--from', '2', '--limit', '2');
check('log tells the story', seen.code === 0 && seen.out.trim().split('\n').map((line) => JSON.parse(line).operation.id).join() === 'op-2,op-3', seen);
seen = reads('state', '--json', ...mine, '--at', '3');
check('state shows a list as it was', seen.code === 0 && JSON.parse(seen.out).selectedImages.length === 3, seen);
seen = reads('state');
check('and finds the only one by itself', seen.code === 0 && /: 4 items/.test(seen.out), seen);
seen = reads('state', ...mine, '--at', '5');
check('beyond the end it says where that is', seen.code === 1 && /ends at operation 4/.test(seen.err), seen);
seen = reads('verify', '--json');
check('verify is content', seen.code === 0 && JSON.parse(seen.out).verified === 1 && JSON.parse(seen.out).operations === 4, seen);
seen = reads('log', '--user', 'ann', '--list', 'other');
check('a list that is not there is said', seen.code === 1 && /holds no such list/.test(seen.err), seen);
seen = reads('log', '--dynamodb-prefix', 'nowhere-');
check('and so are tables', seen.code === 1 && /tidemark tables create/.test(seen.err), seen);

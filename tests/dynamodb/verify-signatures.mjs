// verify-signatures.mjs FILE - requests that store/aws_sign.c signed, one JSON object a
// line (tests/store/test_aws_sign.c writes them), signed again by two libraries that know
// nothing of it. Prints TAP.
import { readFileSync } from 'node:fs';
import aws4 from 'aws4';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';

const requests = readFileSync(process.argv[2], 'utf8').trim().split('\n').map((line) => JSON.parse(line));

// aws4 takes the time from a header only where it may add others.
function byAws4(request) {
  const headers = Object.fromEntries(request.headers);
  headers['X-Amz-Date'] = request.date;
  if (request.token) headers['X-Amz-Security-Token'] = request.token;
  const signer = new aws4.RequestSigner(
    {
      method: request.method,
      path: request.path + (request.query && `?${request.query}`),
      service: request.service,
      region: request.region,
      headers,
      body: request.body,
      doNotModifyHeaders: true,
    },
    { accessKeyId: request.id, secretAccessKey: request.secret, sessionToken: request.token },
  );
  signer.datetime = request.date;
  return signer.sign().headers.Authorization;
}

async function bySmithy(request) {
  const signer = new SignatureV4({
    credentials: {
      accessKeyId: request.id,
      secretAccessKey: request.secret,
      ...(request.token && { sessionToken: request.token }),
    },
    region: request.region,
    service: request.service,
    sha256: Sha256,
    applyChecksum: false,
  });
  const query = {};
  for (const part of request.query ? request.query.split('&') : []) {
    const [name, value] = part.split('=').map(decodeURIComponent);
    (query[name] ??= []).push(value);
  }
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'https:',
      hostname: 'dynamodb.example.com',
      path: request.path,
      query,
      headers: Object.fromEntries(request.headers),
      body: request.body,
    },
    {
      signingDate: new Date(request.ms),
      signableHeaders: new Set(request.headers.map(([name]) => name.toLowerCase())),
    },
  );
  return signed.headers.authorization;
}

let failed = 0;
for (const [name, verifier] of [['aws4', byAws4], ['@smithy/signature-v4', bySmithy]]) {
  let different = 0;
  for (const request of requests) {
    const theirs = await verifier(request);
    if (theirs === request.authorization) continue;
    if (different++ === 0) console.log(`# ${JSON.stringify(request)}\n#   ${name} says ${theirs}`);
  }
  failed += different;
  console.log(`${different ? 'not ok' : 'ok'} - ${name} agrees on ${requests.length - different} of ${requests.length} signatures`);
}
if (requests.length < 1000) console.log('not ok - there are requests to verify');
process.exitCode = failed || requests.length < 1000 ? 1 : 0;

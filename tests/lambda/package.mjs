// package.mjs - what is deployed: the zip, of which the runtime provided.al2023 must lack
// nothing, and the template, which must name what the program uses and no more. Prints TAP.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

let failed = 0;
const check = (name, good, seen) => {
  if (!good) console.log(`# ${JSON.stringify(seen)?.slice(0, 2000)}`);
  console.log(`${good ? 'ok' : 'not ok'} - ${name}`);
  failed += !good;
};
const run = (program, ...words) => execFileSync(program, words, { encoding: 'utf8', maxBuffer: 1 << 26 });

// ---- the zip --------------------------------------------------------------------------------

// Amazon Linux 2023 has glibc 2.34, and these are its.
const GLIBC = [2, 34];
const OF_GLIBC = /^(libc|libm|libdl|libpthread|libresolv|librt|ld-linux[a-z0-9-]*)\.so\./;
const scratch = mkdtempSync(join(tmpdir(), 'tidemark-lambda-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const said = run('packaging/lambda/pack.sh', join(scratch, 'one.zip'));
check('two packings have the same bytes', said === run('packaging/lambda/pack.sh', join(scratch, 'two.zip')) && / \d+ bytes$/.test(said.trim()), said);
check('the zip is below what may be uploaded directly (50 MB)', statSync(join(scratch, 'one.zip')).size < 50e6);
const home = join(scratch, 'task');
run('unzip', '-q', join(scratch, 'one.zip'), '-d', home);
check('it has bootstrap, executable, and lib/', readdirSync(home).join() === 'bootstrap,lib' && (statSync(join(home, 'bootstrap')).mode & 0o777) === 0o755, readdirSync(home));

const files = ['bootstrap', ...readdirSync(join(home, 'lib')).map((name) => `lib/${name}`)];
const there = new Set(files.map((name) => name.replace('lib/', '')));
const newer = [];
const lacking = [];
for (const file of files) {
  for (const [, version] of run('objdump', '-T', join(home, file)).matchAll(/\(?GLIBC_([0-9.]+)\)?/g)) {
    const [major, minor] = version.split('.').map(Number);
    if (major > GLIBC[0] || (major === GLIBC[0] && minor > GLIBC[1])) newer.push(`${file} wants GLIBC_${version}`);
  }
  for (const [, name] of run('readelf', '-d', join(home, file)).matchAll(/\(NEEDED\).*\[(.+)\]/g))
    if (!OF_GLIBC.test(name) && !there.has(name)) lacking.push(`${file} needs ${name}`);
}
check(`none of ${files.length} files asks for a symbol newer than GLIBC_${GLIBC.join('.')}`, newer.length === 0, newer);
check('every library that they need is in it, but glibc', lacking.length === 0, lacking);
const found = run('ldd', join(home, 'bootstrap')).split('\n').filter((line) => line.includes('=> /'));
const outside = found.filter((line) => !line.includes(`${home}/lib/`) && !OF_GLIBC.test(line.trim()));
check('and found there, before those of the machine', found.length > 20 && outside.length === 0, outside);
const version = spawnSync(join(home, 'bootstrap'), ['--version'], { env: {}, encoding: 'utf8' });
check('it starts from there', version.status === 0 && /^tidemark-lambda /.test(version.stdout), version);

// ---- the template ---------------------------------------------------------------------------

const short = ['Ref', 'Sub', 'GetAtt', 'Join'].flatMap((name) => [
  { tag: `!${name}`, resolve: (value) => ({ [name]: value }) },
  { tag: `!${name}`, collection: 'seq', resolve: (seq) => ({ [name]: seq.toJSON() }) },
]);
const template = parse(readFileSync('packaging/lambda/template.yaml', 'utf8'), { customTags: short });
const resources = template.Resources;
const properties = (name) => resources[name].Properties;
const source = (file) => readFileSync(`src/${file}`, 'utf8');

// Every name that is referred to is there.
const names = new Set([...Object.keys(resources), ...Object.keys(template.Parameters)]);
const unknown = [];
const walk = (value) => {
  if (typeof value !== 'object' || value === null) return;
  const refers = [value.Ref, value.GetAtt?.split('.')[0], ...(typeof value.Sub === 'string' ? [...value.Sub.matchAll(/\$\{([A-Za-z0-9:.]+)\}/g)].map(([, name]) => name.split('.')[0]) : [])];
  for (const name of refers) if (name && !name.startsWith('AWS::') && !names.has(name)) unknown.push(name);
  Object.values(value).forEach(walk);
};
walk(template);
check('whatever the template refers to is in it', unknown.length === 0, unknown);

const keyOf = (name) => Object.fromEntries(properties(name).KeySchema.map(({ AttributeName, KeyType }) => [KeyType, AttributeName]));
const defined = (file, word) => source(file).match(new RegExp(`#define ${word}\\s+"([^"]+)"`))?.[1];
const suffixes = [...source('store/dynamodb.c').matchAll(/"%s([a-z-]+)", prefix/g)].map(([, suffix]) => suffix);
const tables = {
  Operations: [suffixes[0], defined('store/dynamodb_row.h', 'TM_DYNAMODB_OPERATION_ID')],
  States: [suffixes[1], defined('store/dynamodb_row.h', 'TM_DYNAMODB_STATE_ID')],
  Connections: [defined('store/dynamodb.h', 'TM_DYNAMODB_CONNECTIONS'), defined('store/dynamodb_row.h', 'TM_DYNAMODB_CONNECTION_ID')],
};
for (const [name, [suffix, range]] of Object.entries(tables)) {
  const table = properties(name);
  const key = keyOf(name);
  check(`${name}: the program's name, keys and types, paid by request`,
    suffix !== undefined && table.TableName.Sub === `\${Prefix}${suffix}` && key.HASH === 'user_id' && key.RANGE === range &&
      table.AttributeDefinitions.every(({ AttributeName, AttributeType }) => AttributeType === 'S' && [key.HASH, range].includes(AttributeName)) &&
      table.BillingMode === 'PAY_PER_REQUEST', [suffix, range, table]);
}
check('what is the users\' can be had back, and stays when the stack goes', ['Operations', 'States'].every((name) => properties(name).PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled && resources[name].DeletionPolicy === 'Retain'));
check('rows of listeners expire by the program\'s attribute', properties('Connections').TimeToLiveSpecification.AttributeName === defined('store/dynamodb.h', 'TM_DYNAMODB_EXPIRES'));
check('the prefix is the program\'s own', template.Parameters.Prefix.Default === source('store/dynamodb.h').match(/TM_DYNAMODB_PREFIX[\s\\]+"([^"]+)"/)?.[1]);

// The actions by what the sources call; trimming and listing are the daemon's and the commands'.
const actions = (...all) => [...new Set(all.flatMap((file) => [...source(file).matchAll(/\b(?:tm_dynamodb_begin|begin)\([^;]*?"([A-Z][A-Za-z]+)"/g)].map(([, action]) => `dynamodb:${action}`)))].sort();
const statement = Object.fromEntries(properties('Tidemark').Policies[0].Statement.map((one) => [one.Sid, one]));
const same = (sid, table, want) => {
  const { Effect, Action, Resource } = statement[sid];
  check(`the role may do with ${table} what the program does, and no more`, Effect === 'Allow' && [...Action].sort().join() === [...want].sort().join() && JSON.stringify(Resource) === JSON.stringify([{ GetAtt: `${table}.Arn` }]), [Action, want]);
};
same('Operations', 'Operations', ['dynamodb:DescribeTable', ...actions('store/dynamodb_append.c', 'store/dynamodb_read.c')]);
same('States', 'States', ['dynamodb:DescribeTable', ...actions('store/dynamodb_state.c')]);
same('Listeners', 'Connections', actions('lambda/listeners.c'));
check('and with connections: send and close, of this API and stage alone', statement.Pushes.Action.join() === 'execute-api:ManageConnections' && statement.Pushes.Resource.every(({ Sub }) => /:\$\{Sockets\}\/live\/(POST|DELETE)\/@connections\/\*$/.test(Sub)) && statement.Pushes.Resource.length === 2, statement.Pushes);
check('and nothing else', Object.keys(statement).length === 4 && !JSON.stringify(properties('Tidemark').Policies).includes('"*"'), Object.keys(statement));

const settings = [...source('lambda/main.c').matchAll(/"(TIDEMARK_[A-Z_]+)"/g)].map(([, name]) => name);
const page = readFileSync('docs/man/tidemark-lambda.8', 'utf8');
const help = run(join(home, 'bootstrap'), '--help');
check('the man page and --help name every setting', settings.length >= 5 && settings.every((name) => page.includes(name) && help.includes(name)), settings);
const variables = properties('Tidemark').Environment.Variables;
check('every variable is one that the program reads', Object.keys(variables).every((name) => settings.includes(name)), Object.keys(variables));
check('connections are those of the stage', variables.TIDEMARK_CONNECTIONS.Sub.endsWith(`/${properties('SocketStage').StageName}`) && variables.TIDEMARK_CONNECTIONS.Sub.includes('${Sockets}'));
check('the runtime that the zip is made for', properties('Tidemark').Runtime === 'provided.al2023' && properties('Tidemark').Handler === 'bootstrap' && properties('Tidemark').Architectures.join() === 'x86_64');
const routes = Object.values(resources).filter(({ Type }) => Type === 'AWS::ApiGatewayV2::Route').map((one) => one.Properties);
check('the three routes, and nobody connects without a token', routes.map(({ RouteKey }) => RouteKey).sort().join() === '$connect,$default,$disconnect' && routes.find(({ RouteKey }) => RouteKey === '$connect').AuthorizationType === 'CUSTOM', routes);
const open = Object.values(properties('Tidemark').Events).filter(({ Properties }) => Properties.Auth?.Authorizer === 'NONE').map(({ Properties }) => Properties.Path);
check('and no list is read without one', properties('Http').Auth.DefaultAuthorizer === 'Tokens' && open.join() === '/healthz,/readyz', open);
process.exitCode = failed ? 1 : 0;

// xds_client.cjs: as xds_client.py, with Node's library.
const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();
const readline = require('readline');

const clients = new Map();
const held = [];
const same = (bytes) => bytes;
const count = (counts, key) => { counts[key] = (counts[key] ?? 0) + 1; };

function client(target) {
  if (!clients.has(target)) clients.set(target, new grpc.Client(target, grpc.credentials.createInsecure()));
  return clients.get(target);
}

function call(ask) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(ask.metadata ?? {})) metadata.set(key, value);
  const options = { deadline: Date.now() + 1000 * (ask.timeout ?? 30) };
  const method = ask.method ?? '/test.Greeter/Greet';
  return new Promise((resolve, reject) => {
    client(ask.target).makeUnaryRequest(method, same, same, Buffer.from(ask.body ?? ''), metadata, options,
      (error, answer) => { if (error) reject(error); else resolve(answer.toString()); });
  });
}

async function calls(ask) {
  const answers = {}, errors = {}, began = Date.now();
  for (let left = ask.count ?? 1; left > 0; left -= 1) {
    try {
      count(answers, await call(ask));
    } catch (error) {
      count(errors, `${grpc.status[error.code]}: ${error.details}`);
    }
  }
  return { answers, errors, seconds: (Date.now() - began) / 1000 };
}

async function hold(ask) {
  for (let left = ask.hold; left > 0; left -= 1) {
    const stream = client(ask.target).makeServerStreamRequest('/test.Greeter/Hold', same, same, Buffer.alloc(0));
    stream.on('error', () => {});
    await new Promise((resolve) => { stream.once('data', resolve); });
    held.push(stream);
  }
  return { held: held.length };
}

function release(ask) {
  for (let left = ask.release; left > 0; left -= 1) held.pop().cancel();
  return { held: held.length };
}

function connect(ask) {
  for (const target of ask.connect) client(target).getChannel().getConnectivityState(true);
  return { channels: clients.size };
}

const actions = { connect, hold, release };
(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const ask = JSON.parse(line);
    const action = Object.keys(actions).find((name) => name in ask);
    const answer = await (actions[action] ?? calls)(ask);
    console.log(JSON.stringify(answer));
  }
  process.exit(0);
})();

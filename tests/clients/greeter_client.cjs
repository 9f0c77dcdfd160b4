// greeter_client.cjs TARGET COUNT: calls over one channel and prints each answer.
const grpc = require('@grpc/grpc-js');

const [target, count] = process.argv.slice(2);
const client = new grpc.Client(target, grpc.credentials.createInsecure());
const same = (bytes) => bytes;
const greet = () => new Promise((resolve, reject) => {
  const deadline = Date.now() + 10_000;
  client.makeUnaryRequest('/test.Greeter/Greet', same, same, Buffer.alloc(0), { deadline }, (error, answer) => {
    if (error) reject(error); else resolve(answer.toString());
  });
});
(async () => {
  for (let left = Number(count); left > 0; left -= 1) console.log(await greet());
  client.close();
})();

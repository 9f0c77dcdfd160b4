// undici_client.mjs URL COUNT: prints the body of each answer; the proxy comes from the environment.
import { createRequire } from 'node:module';

const { EnvHttpProxyAgent, request } = createRequire(process.env.NODE_PATH + '/')('undici');
const [url, count] = process.argv.slice(2);
const dispatcher = new EnvHttpProxyAgent();
for (let left = Number(count); left > 0; left -= 1) {
  const { body } = await request(url, { dispatcher });
  console.log(await body.text());
}
await dispatcher.close();

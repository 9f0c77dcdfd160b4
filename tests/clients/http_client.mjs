// http_client.mjs http|fetch URL COUNT: prints the body of each answer.
import http from 'node:http';

const [library, url, count] = process.argv.slice(2);
const byHttp = () => new Promise((resolve, reject) => {
  http.get(url, (answer) => {
    let body = '';
    answer.on('data', (chunk) => { body += chunk; }).on('end', () => resolve(body));
  }).on('error', reject);
});
const byFetch = async () => (await fetch(url)).text();

for (let left = Number(count); left > 0; left -= 1) {
  console.log(await (library === 'http' ? byHttp() : byFetch()));
}

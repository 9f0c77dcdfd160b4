// Opens documents in a real yaml-language-server, as an editor does, and prints what it says of each as JSON.
// stdin: [{ "schema": path, "text": string, "complete": { "line", "character" } | null }]
// stdout: [{ "problems": [message], "items": [{ "label", "documentation" }] }]
const path = require("path");
const { spawn } = require("child_process");
const modules = path.join(__dirname, "../../.tools/node/node_modules");
const rpc = require(path.join(modules, "vscode-jsonrpc/node"));

async function main() {
  const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const server = spawn(process.execPath, [path.join(modules, "yaml-language-server/bin/yaml-language-server"), "--stdio"]);
  const connection = rpc.createMessageConnection(
    new rpc.StreamMessageReader(server.stdout),
    new rpc.StreamMessageWriter(server.stdin),
  );
  const waiting = new Map();
  connection.onNotification("textDocument/publishDiagnostics", ({ uri, diagnostics }) => waiting.get(uri)?.(diagnostics));
  // Nothing is configured but that no schema is fetched from anywhere: each document names its own.
  connection.onRequest("workspace/configuration", ({ items }) => items.map(() => ({ schemaStore: { enable: false } })));
  connection.onRequest("client/registerCapability", () => null);
  connection.listen();
  await connection.sendRequest("initialize", {
    processId: process.pid,
    rootUri: null,
    capabilities: { textDocument: { completion: { completionItem: { documentationFormat: ["markdown"] } } } },
  });
  connection.sendNotification("initialized", {});
  connection.sendNotification("workspace/didChangeConfiguration", {
    settings: { yaml: { validate: true, completion: true, schemaStore: { enable: false } } },
  });

  // All are opened at once: the server waits a little before it looks at a document.
  const open = cases.map(({ schema, text }, index) => {
    const uri = `file:///case-${index}.yaml`;
    const said = new Promise((resolve) => waiting.set(uri, resolve));
    connection.sendNotification("textDocument/didOpen", {
      textDocument: { uri, languageId: "yaml", version: 1, text: `# yaml-language-server: $schema=${schema}\n${text}` },
    });
    return { uri, said };
  });
  const answers = [];
  for (const [index, { complete }] of cases.entries()) {
    const { uri, said } = open[index];
    const problems = (await said).map(({ message, range }) => `${range.start.line}: ${message}`);
    let items = [];
    if (complete) {
      const position = { line: complete.line + 1, character: complete.character };
      const list = await connection.sendRequest("textDocument/completion", { textDocument: { uri }, position });
      items = (list.items ?? list).map(({ label, documentation }) => ({
        label,
        documentation: documentation?.value ?? documentation ?? "",
      }));
    }
    answers.push({ problems, items });
  }
  console.log(JSON.stringify(answers));
  server.kill();
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

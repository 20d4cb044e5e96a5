// OpenAI's SDK in JavaScript as its user has it: does what it is told, line by line, as client.py does.
//
//     NODE_PATH=…/node_modules node client.cjs --base-url http://127.0.0.1:8000/v1 --key pk_…

const { createInterface } = require("node:readline");
const { parseArgs } = require("node:util");
const { default: OpenAI, toFile } = require("openai");
const { VERSION } = require("openai/version");

async function all(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

const ACTS = {
  version: async () => VERSION,
  upload: async (client, _args, { content, filename, ...asked }) => {
    const file = await toFile(Buffer.from(content), filename);
    return client.files.create({ file, ...asked });
  },
  file: (client, [id]) => client.files.retrieve(id),
  files: (client, _args, asked) => all(client.files.list(asked)),
  content: async (client, [id]) => (await client.files.content(id)).text(),
  delete_file: (client, [id]) => client.files.delete(id),
  create_batch: (client, _args, asked) => client.batches.create(asked),
  batch: (client, [id]) => client.batches.retrieve(id),
  batches: (client, _args, asked) => all(client.batches.list(asked)),
  cancel_batch: (client, [id]) => client.batches.cancel(id),
};

function raised(error) {
  const classes = [];
  for (let each = error.constructor; each?.name; each = Object.getPrototypeOf(each)) classes.push(each.name);
  return {
    classes,
    message: error.message,
    status_code: error.status ?? null,
    code: error.code ?? null,
    type: error.type ?? null,
    param: error.param ?? null,
    request_id: error.requestID ?? null,
    headers: Object.fromEntries(error.headers ?? []),
  };
}

async function main() {
  const options = { "base-url": { type: "string" }, key: { type: "string" } };
  const given = parseArgs({ options }).values;
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    const client = new OpenAI({ baseURL: given["base-url"], apiKey: given.key, maxRetries: 0, timeout: 30_000 });
    let told;
    try {
      told = { value: await ACTS[asked.do](client, asked.args, asked.with) };
    } catch (error) {
      told = { raised: raised(error) };
    }
    process.stdout.write(`${JSON.stringify(told)}\n`);
  }
}

main();

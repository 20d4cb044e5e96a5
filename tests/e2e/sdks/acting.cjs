// What the scripts of the SDKs in JavaScript share: see acting.py.

const { createInterface } = require("node:readline");
const { parseArgs } = require("node:util");

const TOOL = "find_invoice";
const DESCRIPTION = "Find an invoice by its number.";
const NUMBER_SCHEMA = {
  type: "object",
  properties: { number: { type: "integer" } },
  required: ["number"],
};

async function all(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

function told(error) {
  const classes = [];
  for (let each = error.constructor; each?.name; each = Object.getPrototypeOf(each)) classes.push(each.name);
  return {
    classes,
    message: error.message,
    status_code: error.status ?? error.statusCode ?? null,
    code: error.code ?? null,
    type: error.type ?? null,
    param: error.param ?? null,
    request_id: error.requestID ?? null,
    headers: Object.fromEntries(error.headers ?? []),
  };
}

async function serve(acts, opened) {
  const options = { "base-url": { type: "string" }, key: { type: "string" } };
  const given = parseArgs({ options }).values;
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    const client = opened(given["base-url"], given.key);
    let answer;
    try {
      answer = { value: await acts[asked.do](client, asked.args, asked.with) };
    } catch (error) {
      answer = { raised: told(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

module.exports = { DESCRIPTION, NUMBER_SCHEMA, TOOL, all, serve, told };

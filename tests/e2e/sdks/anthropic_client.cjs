// Anthropic's SDK in JavaScript as its user has it: does what it is told, line by line (see acting.py).

const { default: Anthropic } = require("@anthropic-ai/sdk");
const { VERSION } = require("@anthropic-ai/sdk/version");
const { DESCRIPTION, NUMBER_SCHEMA, TOOL, all, serve, told } = require("./acting.cjs");

const max_tokens = 500;
const user = (content) => ({ role: "user", content });
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const textOf = (message) => message.content.map((block) => (block.type === "text" ? block.text : "")).join("");

const ACTS = {
  version: async () => VERSION,
  say: async (client, _args, { model, text }) => {
    const message = await client.messages.create({ model, max_tokens, messages: [user(text)] });
    return {
      text: textOf(message),
      finish: message.stop_reason,
      usage: [message.usage.input_tokens, message.usage.output_tokens],
      model: message.model,
      request_id: message._request_id,
    };
  },
  stream: async (client, _args, { model, text }) => {
    const said = { texts: [], raised: null, finish: null, usage: null };
    try {
      const events = client.messages.stream({ model, max_tokens, messages: [user(text)] });
      events.on("text", (piece) => said.texts.push(piece));
      const final = await events.finalMessage();
      said.finish = final.stop_reason;
      said.usage = [final.usage.input_tokens, final.usage.output_tokens];
    } catch (error) {
      said.raised = told(error);
    }
    return said;
  },
  use_tool: async (client, _args, { model, text, result }) => {
    const tools = [{ name: TOOL, description: DESCRIPTION, input_schema: NUMBER_SCHEMA }];
    const tool_choice = { type: "tool", name: TOOL };
    const first = await client.messages.create({ model, max_tokens, tools, tool_choice, messages: [user(text)] });
    const call = first.content.find((block) => block.type === "tool_use");
    const answered = { type: "tool_result", tool_use_id: call.id, content: result };
    const messages = [
      user(text),
      { role: "assistant", content: first.content },
      user([answered, { type: "text", text: `then ${text}` }]),
    ];
    const last = await client.messages.create({ model, max_tokens, tools, messages });
    return { name: call.name, arguments: call.input, finish: first.stop_reason, text: textOf(last) };
  },
  look: async (client, _args, { model, text, png }) => {
    const source = { type: "base64", media_type: "image/png", data: png };
    const messages = [user([{ type: "image", source }, { type: "text", text }])];
    return { text: textOf(await client.messages.create({ model, max_tokens, messages })) };
  },
  count: async (client, _args, { model, text }) =>
    (await client.messages.countTokens({ model, messages: [user(text)] })).input_tokens,
  models: async (client) => (await all(client.models.list({ limit: 3 }))).map((each) => each.id),
  model: async (client, [name]) => (await client.models.retrieve(name)).id,
  batch: async (client, _args, { model, texts }) => {
    const requests = Object.entries(texts).map(([custom_id, text]) => ({
      custom_id,
      params: { model, max_tokens, messages: [user(text)] },
    }));
    let made = await client.messages.batches.create({ requests });
    for (let turn = 0; made.processing_status !== "ended" && turn < 600; turn += 1) {
      await pause(100);
      made = await client.messages.batches.retrieve(made.id);
    }
    const results = {};
    for await (const line of await client.messages.batches.results(made.id)) {
      const { type, message, error } = line.result;
      results[line.custom_id] = [type, message ? textOf(message) : (error?.error.type ?? null)];
    }
    const listed = (await all(client.messages.batches.list({ limit: 1 }))).map((each) => each.id);
    return { id: made.id, status: made.processing_status, counts: made.request_counts, results, listed };
  },
};

serve(ACTS, (baseURL, apiKey) => new Anthropic({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 }));

// OpenAI's SDK in JavaScript, by chat completions and responses: what every SDK's script can do (see acting.py).

const { default: OpenAI } = require("openai");
const { VERSION } = require("openai/version");
const { DESCRIPTION, NUMBER_SCHEMA, TOOL, all, serve, told } = require("./acting.cjs");

const user = (content) => ({ role: "user", content });
const RUNNING = ["queued", "in_progress"];
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

const ACTS = {
  version: async () => VERSION,
  say: async (client, _args, { model, text }) => {
    const answer = await client.chat.completions.create({ model, messages: [user(text)] });
    const [choice] = answer.choices;
    return {
      text: choice.message.content,
      finish: choice.finish_reason,
      usage: [answer.usage.prompt_tokens, answer.usage.completion_tokens],
      model: answer.model,
      request_id: answer._request_id,
    };
  },
  stream: async (client, _args, { model, text }) => {
    const said = { texts: [], raised: null, finish: null, usage: null };
    try {
      const stream_options = { include_usage: true };
      const chunks = await client.chat.completions.create({ model, messages: [user(text)], stream: true, stream_options });
      for await (const chunk of chunks) {
        for (const choice of chunk.choices) {
          if (choice.delta.content) said.texts.push(choice.delta.content);
          said.finish = choice.finish_reason ?? said.finish;
        }
        if (chunk.usage) said.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens];
      }
    } catch (error) {
      said.raised = told(error);
    }
    return said;
  },
  use_tool: async (client, _args, { model, text, result }) => {
    const tools = [{ type: "function", function: { name: TOOL, description: DESCRIPTION, parameters: NUMBER_SCHEMA } }];
    const first = await client.chat.completions.create({ model, tools, tool_choice: "required", messages: [user(text)] });
    const { message, finish_reason } = first.choices[0];
    const [call] = message.tool_calls;
    const answered = { role: "tool", tool_call_id: call.id, content: result };
    const messages = [user(text), message, answered, user(`then ${text}`)];
    const last = await client.chat.completions.create({ model, tools, messages });
    const args = JSON.parse(call.function.arguments);
    return { name: call.function.name, arguments: args, finish: finish_reason, text: last.choices[0].message.content };
  },
  look: async (client, _args, { model, text, png }) => {
    const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } };
    const messages = [user([picture, { type: "text", text }])];
    const answer = await client.chat.completions.create({ model, messages });
    return { text: answer.choices[0].message.content };
  },
  embed: async (client, _args, { model, texts }) =>
    (await client.embeddings.create({ model, input: texts })).data.map((each) => each.embedding),
  models: async (client) => (await all(client.models.list())).map((each) => each.id),
  model: async (client, [name]) => (await client.models.retrieve(name)).id,
  background: async (client, _args, { model, text }) => {
    let made = await client.responses.create({ model, input: text, background: true });
    const at_once = made.status;
    for (let turn = 0; RUNNING.includes(made.status) && turn < 600; turn += 1) {
      await pause(100);
      made = await client.responses.retrieve(made.id);
    }
    const items = (await all(client.responses.inputItems.list(made.id))).map((item) => item.type);
    await client.responses.delete(made.id);
    return { at_once, status: made.status, text: made.output_text, items };
  },
  resume: async (client, _args, { model, text, after }) => {
    const first = [];
    let id = "";
    const begun = await client.responses.create({ model, input: text, background: true, stream: true });
    for await (const event of begun) {
      first.push([event.sequence_number, event.type]);
      id = event.response?.id ?? id;
      if (event.sequence_number === after) break;
    }
    const rest = [];
    let said = "";
    const going = await client.responses.retrieve(id, { stream: true, starting_after: after });
    for await (const event of going) {
      rest.push([event.sequence_number, event.type]);
      if (event.type === "response.completed") said = event.response.output.at(-1).content[0].text;
    }
    return { first, rest, text: said };
  },
};

serve(ACTS, (baseURL, apiKey) => new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 }));

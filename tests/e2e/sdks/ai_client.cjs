// Vercel's AI SDK as its user has it, by each of its providers: does what it is told, line by line (see acting.py).
//
// `options.provider` of an act's arguments is `openai`, `openai-chat`, `openai-compatible`, `anthropic`,
// `google` or `mistral`.

const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = require("@ai-sdk/google");
const { createMistral } = require("@ai-sdk/mistral");
const { embedMany, generateObject, generateText, jsonSchema, streamText, tool } = require("ai");
const { version } = require("ai/package.json");
const { z } = require("zod");
const { DESCRIPTION, NUMBER_SCHEMA, TOOL, serve, told } = require("./acting.cjs");

const maxRetries = 0;

function modelsOf({ root, apiKey }, provider) {
  switch (provider) {
    case "openai":
      return createOpenAI({ baseURL: `${root}/v1`, apiKey });
    case "openai-chat":
      return (name) => createOpenAI({ baseURL: `${root}/v1`, apiKey }).chat(name);
    case "openai-compatible":
      return createOpenAICompatible({ name: "penstock", baseURL: `${root}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true });
    case "anthropic":
      return createAnthropic({ baseURL: `${root}/anthropic/v1`, apiKey });
    case "google":
      return createGoogleGenerativeAI({ baseURL: `${root}/gemini/v1beta`, apiKey });
    case "mistral":
      return createMistral({ baseURL: `${root}/mistral/v1`, apiKey });
  }
  throw new Error(`no provider is called ${provider}`);
}

const ACTS = {
  version: async () => version,
  say: async (client, _args, { provider, model, text }) => {
    const answer = await generateText({ model: modelsOf(client, provider)(model), prompt: text, maxRetries });
    return { text: answer.text, finish: answer.finishReason, usage: [answer.usage.inputTokens, answer.usage.outputTokens] };
  },
  stream: async (client, _args, { provider, model, text }) => {
    const said = { texts: [], raised: null, finish: null, usage: null };
    const onError = ({ error }) => { said.raised = told(error); };
    const result = streamText({ model: modelsOf(client, provider)(model), prompt: text, maxRetries, onError });
    for await (const part of result.fullStream) {
      if (part.type === "text-delta") said.texts.push(part.text);
      if (part.type === "error") said.raised = told(part.error);
    }
    if (said.raised === null) {
      said.finish = await result.finishReason;
      const usage = await result.usage;
      said.usage = [usage.inputTokens, usage.outputTokens];
    }
    return said;
  },
  use_tool: async (client, _args, { provider, model, text, result }) => {
    const model_ = modelsOf(client, provider)(model);
    const tools = { [TOOL]: tool({ description: DESCRIPTION, inputSchema: jsonSchema(NUMBER_SCHEMA) }) };
    const prompt = { role: "user", content: text };
    const first = await generateText({ model: model_, tools, toolChoice: "required", messages: [prompt], maxRetries });
    const [call] = first.toolCalls;
    const output = { type: "text", value: result };
    const answered = { type: "tool-result", toolCallId: call.toolCallId, toolName: call.toolName, output };
    const messages = [
      prompt,
      ...first.response.messages,
      { role: "tool", content: [answered] },
      { role: "user", content: `then ${text}` },
    ];
    const last = await generateText({ model: model_, tools, messages, maxRetries });
    return { name: call.toolName, arguments: call.input, finish: first.finishReason, text: last.text };
  },
  structured: async (client, _args, { provider, model, text }) => {
    const schema = z.object({ sender: z.string(), total: z.number(), paid: z.boolean() });
    const answer = await generateObject({ model: modelsOf(client, provider)(model), schema, prompt: text, maxRetries });
    return { class: "Invoice", parsed: answer.object };
  },
  embed: async (client, _args, { provider, model, texts }) => {
    const of = modelsOf(client, provider === "openai-chat" ? "openai" : provider);
    const name = of.textEmbeddingModel ? of.textEmbeddingModel(model) : of.embeddingModel(model);
    return (await embedMany({ model: name, values: texts, maxRetries })).embeddings;
  },
};

serve(ACTS, (root, apiKey) => ({ root, apiKey }));

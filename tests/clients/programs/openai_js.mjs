// The openai package: Chat Completions and Responses.
import OpenAI from "openai";

const model = process.env.MODEL;
const turn = process.argv[2];
const hello = [{ role: "user", content: "Say hello." }];
const question = [{ role: "user", content: "How is the weather in Oslo?" }];
const parameters = {
  type: "object",
  properties: { place: { type: "string" } },
  required: ["place"],
};
const client = new OpenAI({
  baseURL: `${process.env.BASE_URL}/v1`,
  apiKey: process.env.API_KEY,
});

async function chat() {
  const ask = client.chat.completions;
  if (turn === "streamed") {
    const stream = await ask.create({ model, messages: hello, max_tokens: 64, stream: true });
    const pieces = [];
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta?.content;
      if (piece) pieces.push(piece);
    }
    return { said: pieces.join(""), pieces: pieces.length };
  }
  if (turn === "tools") {
    const tools = [{ type: "function", function: { name: "weather", parameters } }];
    const first = await ask.create({ model, messages: question, tools });
    const asked = first.choices[0].message;
    const call = asked.tool_calls[0];
    const result = { role: "tool", tool_call_id: call.id, content: "sunny" };
    const last = await ask.create({ model, messages: [...question, asked, result], tools });
    return { said: last.choices[0].message.content, ran: JSON.parse(call.function.arguments) };
  }
  const answer = await ask.create({ model, messages: hello, max_tokens: 64 });
  return { said: answer.choices[0].message.content };
}

async function responses() {
  const ask = client.responses;
  if (turn === "streamed") {
    const stream = ask.stream({ model, input: hello, max_output_tokens: 64 });
    const pieces = [];
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") pieces.push(event.delta);
    }
    return { said: pieces.join(""), pieces: pieces.length };
  }
  if (turn === "tools") {
    const tools = [{ type: "function", name: "weather", parameters, strict: false }];
    const first = await ask.create({ model, input: question, tools });
    const call = first.output.find((item) => item.type === "function_call");
    const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const input = [...question, ...first.output, result];
    const last = await ask.create({ model, input, tools });
    return { said: last.output_text, ran: JSON.parse(call.arguments) };
  }
  const answer = await ask.create({
    model,
    input: "Say hello.",
    max_output_tokens: 64,
  });
  return { said: answer.output_text };
}

for (const api of [chat, responses]) {
  let told;
  try {
    told = await api();
  } catch (error) {
    told = { error: error.constructor.name, message: error.message };
  }
  console.log(JSON.stringify({ api: api.name, ...told }));
}

// The @anthropic-ai/sdk package: Messages.
import Anthropic from "@anthropic-ai/sdk";

const asked = { model: process.env.MODEL, max_tokens: 64 };
const turn = process.argv[2];
const hello = [{ role: "user", content: "Say hello." }];
const question = [{ role: "user", content: "How is the weather in Oslo?" }];
const tools = [
  {
    name: "weather",
    input_schema: {
      type: "object",
      properties: { place: { type: "string" } },
      required: ["place"],
    },
  },
];
const client = new Anthropic({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY });

const text = (answer) =>
  answer.content
    .filter((block) => block.type === "text")
    .map((block) => block.text)
    .join("");

async function messages() {
  if (turn === "streamed") {
    let pieces = 0;
    const stream = client.messages.stream({ ...asked, messages: hello });
    stream.on("text", () => (pieces += 1));
    return { said: text(await stream.finalMessage()), pieces };
  }
  if (turn === "tools") {
    const first = await client.messages.create({ ...asked, messages: question, tools });
    const use = first.content.find((block) => block.type === "tool_use");
    const result = { type: "tool_result", tool_use_id: use.id, content: "sunny" };
    const last = await client.messages.create({
      ...asked,
      tools,
      messages: [
        ...question,
        { role: "assistant", content: first.content },
        { role: "user", content: [result] },
      ],
    });
    return { said: text(last), ran: use.input };
  }
  return { said: text(await client.messages.create({ ...asked, messages: hello })) };
}

let told;
try {
  told = await messages();
} catch (error) {
  told = { error: error.constructor.name, message: error.message };
}
console.log(JSON.stringify({ api: "messages", ...told }));

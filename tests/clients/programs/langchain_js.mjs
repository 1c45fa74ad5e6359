// LangChain: Chat Completions, Responses and Messages.
import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";

const turn = process.argv[2];
const asked = { model: process.env.MODEL, apiKey: process.env.API_KEY, maxTokens: 64 };
const openai = { ...asked, configuration: { baseURL: `${process.env.BASE_URL}/v1` } };
const models = {
  chat: new ChatOpenAI(openai),
  responses: new ChatOpenAI({ ...openai, useResponsesApi: true }),
  messages: new ChatAnthropic({ ...asked, anthropicApiUrl: process.env.BASE_URL }),
};
const weather = tool(async ({ place }) => `sunny in ${place}`, {
  name: "weather",
  description: "The weather of a place",
  schema: z.object({ place: z.string() }),
});

async function ask(model) {
  if (turn === "streamed") {
    const pieces = [];
    for await (const piece of await model.stream("Say hello.")) {
      if (piece.text) pieces.push(piece.text);
    }
    return { said: pieces.join(""), pieces: pieces.length };
  }
  if (turn === "tools") {
    const bound = model.bindTools([weather]);
    const question = new HumanMessage("How is the weather in Oslo?");
    const first = await bound.invoke([question]);
    const call = first.tool_calls[0];
    const content = await weather.invoke(call.args);
    const result = new ToolMessage({ content, tool_call_id: call.id });
    return { said: (await bound.invoke([question, first, result])).text, ran: call.args };
  }
  return { said: (await model.invoke("Say hello.")).text };
}

for (const [api, model] of Object.entries(models)) {
  let told;
  try {
    told = await ask(model);
  } catch (error) {
    told = { error: error.constructor.name, message: error.message };
  }
  console.log(JSON.stringify({ api, ...told }));
}

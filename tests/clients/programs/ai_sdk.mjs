// The ai package with its three providers: Chat Completions, Responses and Messages.
import { generateText, stepCountIs, streamText, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";

const turn = process.argv[2];
const options = { baseURL: `${process.env.BASE_URL}/v1`, apiKey: process.env.API_KEY };
const name = process.env.MODEL;
const models = {
  chat: createOpenAICompatible({ name: "booth", ...options })(name),
  responses: createOpenAI(options).responses(name),
  messages: createAnthropic(options)(name),
};

async function ask(model) {
  const asked = { model, prompt: "Say hello.", maxOutputTokens: 64, maxRetries: 0 };
  if (turn === "streamed") {
    const pieces = [];
    let failure;
    const stream = streamText({ ...asked, onError: ({ error }) => (failure = error) });
    for await (const piece of stream.textStream) pieces.push(piece);
    if (failure) throw failure;
    return { said: pieces.join(""), pieces: pieces.length };
  }
  if (turn === "tools") {
    let ran;
    const weather = tool({
      description: "The weather of a place",
      inputSchema: z.object({ place: z.string() }),
      execute: async (input) => {
        ran = input;
        return "sunny";
      },
    });
    const { text } = await generateText({
      ...asked,
      prompt: "How is the weather in Oslo?",
      tools: { weather },
      stopWhen: stepCountIs(3),
    });
    return { said: text, ran };
  }
  return { said: (await generateText(asked)).text };
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

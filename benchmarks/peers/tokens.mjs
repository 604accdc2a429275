// What a request weighs in a real tokenizer (OpenAI's o200k_base): node tokens.mjs LOG GOAL prints the fixed overhead in
// tokens. LOG is what `aether-testkit serve --log FILE` writes; its last request is counted, without the goal.
// Needs `npm install gpt-tokenizer` in the directory it is run from.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const { encode } = createRequire(join(process.cwd(), 'here.js'))('gpt-tokenizer/encoding/o200k_base');
const [log, goal] = process.argv.slice(2);
const last = readFileSync(log, 'utf8').trim().split('\n').at(-1);
const tokens = encode(JSON.stringify(JSON.parse(last).body)).length - encode(goal).length;
console.log(JSON.stringify({ prompt_tokens: tokens }));

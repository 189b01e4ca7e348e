// Asks google-auth-library about tokens, as a service written in JavaScript
// would. What it reads and writes is what verify.py does.
'use strict';

const readline = require('node:readline');
const { OAuth2Client } = require('google-auth-library');

const client = new OAuth2Client();

async function verify({ token, audience }) {
  try {
    const ticket = await client.verifyIdToken({ idToken: token, audience });
    return { claims: ticket.getPayload() };
  } catch (refusal) {
    return { refused: refusal.message };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await verify(JSON.parse(line))) + '\n');
  }
}

main();

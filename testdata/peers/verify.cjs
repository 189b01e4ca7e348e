// Asks google-auth-library about tokens, as a service written in JavaScript
// would. Standard input and output are those of verify.py; the authority to
// trust is in NODE_EXTRA_CA_CERTS.
'use strict';

const fs = require('node:fs');
const { OAuth2Client } = require('google-auth-library');

async function main() {
  const job = JSON.parse(fs.readFileSync(0, 'utf8'));
  const client = new OAuth2Client({
    endpoints: {
      oauth2FederatedSignonPemCertsUrl: job.pem,
      oauth2FederatedSignonJwkCertsUrl: job.jwk,
    },
  });
  const answers = [];
  for (const { token, audience } of job.cases) {
    try {
      const ticket = await client.verifyIdToken({ idToken: token, audience });
      answers.push({ claims: ticket.getPayload() });
    } catch (refusal) {
      answers.push({ refused: refusal.message });
    }
  }
  process.stdout.write(JSON.stringify(answers));
}

main();

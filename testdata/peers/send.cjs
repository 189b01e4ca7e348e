// Sends a mail with Nodemailer. Standard input is JSON: Nodemailer's options for
// the server, for the key and for the mail. Standard output is JSON, too: what
// the server answered to the message, and what was said before, line by line
// after "C: " and "S: ".
'use strict';

const fs = require('node:fs');
const nodemailer = require('nodemailer');

async function main() {
  const job = JSON.parse(fs.readFileSync(0, 'utf8'));
  const dialogue = [];
  const sides = { client: 'C: ', server: 'S: ' };
  const log = (entry, text) => {
    if (sides[entry.tnx]) {
      dialogue.push(...text.trimEnd().split(/\r?\n/).map((line) => sides[entry.tnx] + line));
    }
  };
  const logger = { trace: log, debug: log, info: log, warn: log, error: log, fatal: log };
  const transport = nodemailer.createTransport({ ...job.server, logger, debug: true });
  const sent = await transport.sendMail({ ...job.mail, dkim: job.dkim });
  process.stdout.write(JSON.stringify({ response: sent.response, dialogue }));
}

main();

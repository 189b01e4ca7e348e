// Sends a mail with Nodemailer, with STARTTLS and signed with DKIM. Standard
// input is JSON: Nodemailer's options for the server, for the key and for the
// mail. Standard output is what the server answered to the message.
'use strict';

const fs = require('node:fs');
const nodemailer = require('nodemailer');

async function main() {
  const job = JSON.parse(fs.readFileSync(0, 'utf8'));
  const sent = await nodemailer.createTransport(job.server).sendMail({ ...job.mail, dkim: job.dkim });
  process.stdout.write(sent.response);
}

main();

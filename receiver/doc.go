// Package receiver tells the way of a message in. It has no code; that is in
// the sub-packages, each of which can be used without the others.
//
// A peer connects to smtpserver, which holds the SMTP dialogue: who the peer
// is, what it calls itself, the envelope, the message octet for octet. What is
// said there are claims. mailauth then finds out what of them is true: whether
// the peer may send for the envelope's domain (SPF), whether a domain has
// signed the message (DKIM), whether one of these speaks for the author
// (DMARC), and whether the peer's address and name agree. Every question it
// has for DNS goes through a resolver that it is given. In a test that is the
// one of dnszone: the world's own zone, with the faults that the test wants,
// and a list of what was asked.
//
// A second way in is popfetch: the provider logs in to another mailbox with what
// the user gave it, and takes what is there. There is no peer then and no
// envelope, and what would need one stays unknown.
//
// Results and the arrival together are evidence. From here on the package
// policy takes over, which is pure: it says whether the message is accepted,
// where it goes, and which of its actions are offered. mailbox keeps the
// message with all of it. mailaccess reads it out again, by IMAP and POP3, to the
// programs of others: below the fields that mailauth writes down for its
// account, the message is what came.
//
// Two packages look the other way: reports tells owners of domains what came
// from them, and how mail to them went; mtasts reads what they ask of TLS for
// such mail.
//
// Nothing on this way changes a message, and nothing here decides about one.
package receiver

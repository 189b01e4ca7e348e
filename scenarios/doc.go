// Package scenarios reads and runs scenario files: what happens to a provider,
// step by step, and what must then hold. They are written by people who test
// mail, and so every mistake in one is reported at once, with its place and the
// nearest known word.
//
// Reading opens no file and carries nothing out. Running a file starts a
// provider of its own within the process, whose clock stands still, and opens
// no socket.
//
// # The file
//
// A scenario is a txtar archive: a script, then named sections.
//
//	# A direct, signed mail keeps its button.
//	provider gmail.test
//	account alice@gmail.test
//	register noreply@shop.example actions=ConfirmAction
//	sign mail.eml d=shop.example s=s1
//	deliver mail.eml from=bounce@shop.example to=alice@gmail.test peer=192.0.2.10
//	expect action.0 == offered
//
//	-- mail.eml --
//	From: Shop <noreply@shop.example>
//	...
//
// A section begins at a line "-- name --" and goes on to the next such line or
// the end of the file. This holds inside a mail too: a line of a mail that
// begins with "-- " and ends with " --" begins a section, and has to be
// reworded. The line "-- " that begins a signature is safe. There is no other
// markup in a section, and its bytes are kept as they are; only the end of a
// last line is added where it is missing. A section's name is of letters,
// digits, ".", "_", "-" and "/", and begins with a letter or digit. Every
// section has to be used by a step.
//
// # The script
//
// The script has one step a line; blank lines do not matter.
//
//   - A line with "#" in its first column is a comment. It begins a phase, and
//     is its title; comments without a step between them are one title. There
//     is no other comment.
//   - A step is words with blanks between them; the first one is the verb.
//   - A word is bare, or quoted as Go quotes strings: "two words", with
//     escapes, or with backquotes, without. A bare word has no quotes in it.
//   - A verb that has keys takes words key=value anywhere after it; the value
//     may be quoted: to="two words". A bare word that has the form of a key,
//     "=" and anything else is read so; where it is not meant so, it has to be
//     quoted as a whole. A verb without keys, such as expect, takes every
//     word as it is.
//   - Every value is a string. There are no variables, conditions or loops.
//
// [Verbs] returns the verbs, with their words, keys and examples; that table
// is what [Parse] checks against.
package scenarios

package quote

import (
	"bytes"
	"slices"
)

const (
	// maxLabel bounds a label with what stands around it, in octets.
	maxLabel = 48
	// maxFolds bounds the lines without a label in a block: the recipients of a
	// mail to many people are wrapped.
	maxFolds = 100
	// maxBlank bounds the empty lines between what introduces a mail and its
	// block.
	maxBlank = 4
)

// source is what makes a block the beginning of a mail, the surest first.
type source int

const (
	element source = iota // An element that has no other meaning.
	saying                // A line that is known: "---------- Forwarded message ---------".
	hyphens               // Words between hyphens that are not known: "-----Original Message-----".
	labels                // The labels of Outlook, in their order, alone.
)

// block is the beginning of what may be a mail: what introduces it, and the
// fields that the client has copied from its header.
type block struct {
	source  source
	at      int
	mark    string
	ruled   bool // There is a line of underscores above the labels, or an element of Outlook.
	element bool // There is an element of Outlook.
	// clients are the wordings of which the introduction may be, its hyphens
	// counted; languages are those that its words and the labels leave.
	clients, languages set

	seen    [len(outlookOrder)]bool // The labels there were.
	first   Field                   // The first of them; empty before it.
	foreign bool                    // The label of From is of no known language.
	from    string
	title   string // The Subject.
	field   Field  // The last one.
	pending []byte // Lines that belong to it if a label follows.
	folds   int    // Lines without a label.
	blanks  int    // Empty lines.
}

// outlookOrder is the order of the fields in the blocks of Outlook.
var outlookOrder = [...]Field{FieldFrom, FieldDate, FieldTo, FieldCc, FieldSubject}

func place(f Field) int { return slices.Index(outlookOrder[:], f) }

// line reads the next line that is not empty. It is false if the block has
// ended before it.
func (b *block) line(text []byte) bool {
	name, value, ok := cutLabel(text)
	l, known := dict.label(name)
	switch {
	case !ok || !known:
		return b.other(text, name, value, ok)
	case b.source == labels && !b.fits(l), b.seen[place(l.field)]:
		return false
	case b.source == hyphens && b.first == "" && l.field == FieldFrom && !l.set.and(dict.of[Outlook]).empty():
		// "-----Original Message-----": Outlook's, in one of its older forms.
		b.source, b.clients, b.languages = labels, dict.of[Outlook], dict.of[Outlook]
	}
	b.commit()
	b.languages = b.languages.narrow(l.set)
	b.take(l.field, value)
	return true
}

// fits reports whether a label may be the next one of Outlook's.
func (b *block) fits(l label) bool {
	if b.first == "" {
		return l.field == FieldFrom && !l.set.and(b.languages).empty()
	}
	return b.blanks == 0 && place(l.field) > place(b.field) && (l.field == FieldCc || !l.set.and(b.languages).empty())
}

// other reads a line without a label that is known.
func (b *block) other(text, name, value []byte, hasLabel bool) bool {
	switch {
	case b.first == "" && b.source == element && text[0] == '-':
		b.languages = b.languages.narrow(dict.intro(text))
		return true
	case b.first == "" && b.source == saying && hasLabel:
		// Gmail writes the label of From in the language of the user, of which there
		// are more than are known, and the others in English.
		b.foreign = true
		b.take(FieldFrom, value)
		return true
	case b.first == "" || b.blanks > 0 || b.folds == maxFolds:
		return false
	}
	b.folds++
	if hasLabel && !bytes.ContainsAny(name, "@<") {
		return true // Such as Reply-To.
	}
	if len(b.pending) < maxValue {
		b.pending = append(append(b.pending, ' '), text...)
	}
	return true
}

// blank reads an empty line. It is false if the block ends there.
func (b *block) blank() bool {
	b.blanks++
	if b.first == "" {
		return b.blanks <= maxBlank
	}
	// Some clients write tables, whose rows others set apart.
	return b.source != labels && b.blanks == 1
}

func (b *block) take(f Field, value []byte) {
	b.seen[place(f)] = true
	if b.first == "" {
		b.first, b.blanks = f, 0
	}
	b.field = f
	switch f {
	case FieldFrom:
		b.from = string(value)
	case FieldSubject:
		b.title = string(value)
	}
}

// commit adds the lines since the last label to its value: only the next label
// shows that they were no text of the mail.
func (b *block) commit() {
	switch b.field {
	case FieldFrom:
		b.from = string(bytes.TrimSpace(append([]byte(b.from), b.pending...)))
	case FieldSubject:
		b.title = string(bytes.TrimSpace(append([]byte(b.title), b.pending...)))
	}
	b.pending = b.pending[:0]
	b.folds = 0
	if b.first != "" {
		b.blanks = 0
	}
}

// count returns how many labels there were of those that each mail has, From
// not counted.
func (b *block) count() int {
	n := 0
	for _, f := range []Field{FieldDate, FieldTo, FieldSubject} {
		if b.seen[place(f)] {
			n++
		}
	}
	return n
}

// client returns the client in the words of policy.Enclosed.
func (b *block) client() string {
	clients := b.clients
	if b.source == saying {
		// Pine and KMail have the line of Gmail and other labels first.
		clients = clients.where(func(w Wording) bool { return w.Order[0] == b.first })
	}
	return clients.only(Wording.family)
}

func (b *block) language() string {
	if b.foreign {
		return ""
	}
	return b.languages.only(func(w Wording) string { return w.Language })
}

// cutLabel cuts a line at its first colon, if one stands where a label ends. The
// label may have a space at its end.
func cutLabel(text []byte) (name, value []byte, ok bool) {
	bare := bytes.TrimLeft(text, "*")
	head := bare[:min(len(bare), maxLabel)]
	end, size := bytes.IndexByte(head, ':'), 1
	if end < 0 && bytes.IndexByte(head, "："[0]) >= 0 {
		end, size = bytes.Index(head, []byte("：")), len("：")
	}
	if end <= 0 {
		return nil, nil, false
	}
	name, value = bare[:end], bytes.TrimFunc(bare[end+size:], isBlank)
	if bold := len(text) - len(bare); bold > 0 && name[end-1] != '*' {
		// "*From:* A" and "*From: *A"; the end of "*From*: A" is in the name.
		value = bytes.TrimFunc(bytes.TrimPrefix(value, text[:bold]), isBlank)
	}
	return name, value, true
}

package mailaccess

import (
	"fmt"
	"strings"
	"testing"
)

func TestIMAPMailbox(t *testing.T) {
	t.Parallel()
	const only = "there is no mailbox but INBOX\n"
	d := openIMAP(t, newIMAPServer(t, newIMAPBox(imapPlainMail, imapPlainMail), nil))
	dialog := []string{
		`LIST "" *`, "* LIST (\\HasNoChildren) \"/\" INBOX\nx OK LIST completed\n",
		`LIST "" inB%`, "* LIST (\\HasNoChildren) \"/\" INBOX\nx OK LIST completed\n",
		`LIST IN %OX`, "* LIST (\\HasNoChildren) \"/\" INBOX\nx OK LIST completed\n",
		`LIST "" INBOX/%`, "x OK LIST completed\n",
		`LIST "" INBO`, "x OK LIST completed\n",
		`LIST "" I*N*N*X`, "x OK LIST completed\n",
		`LIST "" ""`, "* LIST (\\Noselect) \"/\" \"\"\nx OK LIST completed\n",
		`LIST (SUBSCRIBED) "" (a inbox) RETURN (CHILDREN STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE RECENT))`,
		"* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\n" +
			fmt.Sprintf("* STATUS INBOX (MESSAGES 2 UIDNEXT 21 UIDVALIDITY 1 UNSEEN 2 DELETED 0 SIZE %d RECENT 0)\nx OK LIST completed\n", 2*len(imapPlainMail)),
		`LIST (SPECIAL-USE) "" *`, "x OK LIST completed\n",
		`LSUB "" *`, "* LSUB (\\HasNoChildren \\Subscribed) \"/\" INBOX\nx OK LSUB completed\n",
		`NAMESPACE`, "* NAMESPACE ((\"\" \"/\")) NIL NIL\nx OK NAMESPACE completed\n",
		`SUBSCRIBE INBOX`, "x OK SUBSCRIBE completed\n",
		`SUBSCRIBE a`, "x NO [NONEXISTENT] " + only,
		`UNSUBSCRIBE INBOX`, "x NO [CANNOT] INBOX always is subscribed\n",
		`UNSUBSCRIBE a`, "x NO [NONEXISTENT] " + only,
		`CREATE a`, "x NO [CANNOT] " + only,
		`DELETE INBOX`, "x NO [CANNOT] " + only,
		`RENAME INBOX a`, "x NO [CANNOT] " + only,
		`COPY 1 a`, "x NO [CANNOT] " + only,
		`UID COPY 10 a`, "x NO [CANNOT] " + only,
		`MOVE 1 a`, "x NO [CANNOT] " + only,
		`UID MOVE 10 a`, "x NO [CANNOT] " + only,
		`STATUS a (MESSAGES)`, "x NO [NONEXISTENT] " + only,
		`STATUS inbox (DELETED-STORAGE APPENDLIMIT)`, "* STATUS INBOX (APPENDLIMIT NIL DELETED-STORAGE 0)\nx OK STATUS completed\n",
		`SELECT a`, "* OK [CLOSED] Previous mailbox is now closed\nx NO [NONEXISTENT] " + only,
		`FETCH 1 UID`, "x BAD [CLIENTBUG] This command is only valid in the selected state\n",
		`SELECT inbox`, selectedIMAP + "x OK [READ-WRITE] SELECT completed\n",
		`UNSELECT`, "x OK UNSELECT completed\n",
		`CLOSE`, "x BAD [CLIENTBUG] This command is only valid in the selected state\n",
		`CHECK`, "x OK CHECK completed\n",
	}
	for i := 0; i < len(dialog); i += 2 {
		d.want(dialog[i], dialog[i+1])
	}
}

const selectedIMAP = `* 2 EXISTS
* 0 RECENT
* OK [UNSEEN 1] First unseen message
* OK [UIDVALIDITY 1] UIDs valid
* OK [UIDNEXT 21] Predicted next UID
* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Permanent flags
`

// Without Changes, and after EXAMINE with it, nothing changes.
func TestIMAPReadOnly(t *testing.T) {
	t.Parallel()
	const refused = "x NO [NOPERM] the mailbox is read-only\n"
	selected := strings.Replace(selectedIMAP, `\Answered \Flagged \Deleted \Seen \Draft \*`, "", 1)
	for name, change := range map[string]func(*Options){"without changes": readOnlyIMAP, "examine": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := NewChanges()
			setFlags(changes, "alice", "id1", []string{`\Deleted`})
			d := openIMAP(t, newIMAPServer(t, newIMAPBox(imapPlainMail, imapPlainMail), func(o *Options) {
				if o.Changes = changes; change != nil {
					change(o)
				}
			}))
			d.do("UNSELECT")
			if change != nil {
				d.want("SELECT INBOX", selected+"x OK [READ-ONLY] EXAMINE completed\n")
			}
			d.want("EXAMINE INBOX", map[bool]string{true: "* OK [CLOSED] Previous mailbox is now closed\n"}[change != nil]+selected+"x OK [READ-ONLY] EXAMINE completed\n")
			d.want(`STORE 1 FLAGS (\Seen)`, refused)
			d.want(`UID STORE 10 -FLAGS.SILENT (\Deleted)`, refused)
			d.want("EXPUNGE", refused)
			d.want("UID EXPUNGE 1:*", refused)
			if got := d.do("FETCH 1 (BODY[] FLAGS)"); strings.Contains(got, "Seen") {
				t.Errorf("got %q", got)
			}
			d.want("CLOSE", "x OK CLOSE completed\n")
			d.want("STATUS INBOX (MESSAGES UNSEEN)", "* STATUS INBOX (MESSAGES 2 UNSEEN 2)\nx OK STATUS completed\n")
			if got := changes.Flags("alice", "id1"); len(got) != 1 {
				t.Errorf("got flags %q", got)
			}
		})
	}
}

func TestIMAPStore(t *testing.T) {
	t.Parallel()
	changes := NewChanges()
	d := openIMAP(t, newIMAPServer(t, newIMAPBox(imapPlainMail, imapPlainMail, imapPlainMail), func(o *Options) { o.Changes = changes }))
	many := make([]string, imapMaxFlags+1)
	for i := range many {
		many[i] = fmt.Sprint("k", i)
	}
	dialog := []string{
		`STORE 1:2 +FLAGS (\seen $Work)`, "* 1 FETCH (UID 10 FLAGS ($Work \\Seen))\n* 2 FETCH (UID 20 FLAGS ($Work \\Seen))\nx OK STORE completed\n",
		`STORE 1 -FLAGS $work`, "* 1 FETCH (UID 10 FLAGS (\\Seen))\nx OK STORE completed\n",
		`STORE 1 FLAGS \Flagged \Flagged`, "* 1 FETCH (UID 10 FLAGS (\\Flagged))\nx OK STORE completed\n",
		`UID STORE 20:* +FLAGS.SILENT (\Deleted)`, "x OK UID STORE completed\n",
		`STORE 1 FLAGS ()`, "* 1 FETCH (UID 10 FLAGS ())\nx OK STORE completed\n",
		`STORE 1 FLAGS (\Recent)`, "x BAD [CLIENTBUG] clients cannot set that flag\n",
		`STORE 1 FLAGS (\Seen ` + strings.Repeat("k", 65) + `)`, "x NO [LIMIT] the flag is too long\n",
		`STORE 1 FLAGS (` + strings.Join(many, " ") + `)`, "* 1 FETCH (UID 10 FLAGS ())\nx NO [LIMIT] a message cannot have so many flags\n",
		`STORE 1 X-GM-LABELS (a)`, "x BAD [CLIENTBUG] STORE can only change FLAGS\n",
		`STORE 4 FLAGS (\Seen)`, "x BAD [CLIENTBUG] no message has that number\n",
		`FETCH 1:* FLAGS`, "* 1 FETCH (FLAGS ())\n* 2 FETCH (FLAGS ($Work \\Deleted \\Seen))\n* 3 FETCH (FLAGS (\\Deleted))\nx OK FETCH completed\n",
		`FETCH 3 BODY[TEXT]<0.2>`, "* 3 FETCH (FLAGS (\\Deleted \\Seen) BODY[TEXT]<0> {2}\nHe)\nx OK FETCH completed\n",
		`UID EXPUNGE 30`, "* 3 EXPUNGE\nx OK UID EXPUNGE completed\n",
		`EXPUNGE`, "* 2 EXPUNGE\nx OK EXPUNGE completed\n",
		`FETCH 1:* UID`, "* 1 FETCH (UID 10)\nx OK FETCH completed\n",
		`STATUS INBOX (MESSAGES UIDNEXT)`, "* STATUS INBOX (MESSAGES 1 UIDNEXT 31)\nx OK STATUS completed\n",
		`STORE 1 FLAGS.SILENT (\Deleted)`, "x OK STORE completed\n",
		`CLOSE`, "x OK CLOSE completed\n",
		`STATUS INBOX (MESSAGES UIDNEXT)`, "* STATUS INBOX (MESSAGES 0 UIDNEXT 31)\nx OK STATUS completed\n",
		`SELECT INBOX`, strings.NewReplacer("* 2 EXISTS", "* 0 EXISTS", "* OK [UNSEEN 1] First unseen message\n", "", "UIDNEXT 21", "UIDNEXT 31").Replace(selectedIMAP) + "x OK [READ-WRITE] SELECT completed\n",
		`FETCH 1:* UID`, "x OK FETCH completed\n",
		`UID FETCH 1:* UID`, "x OK UID FETCH completed\n",
		`SEARCH ALL`, "* SEARCH\nx OK SEARCH completed\n",
		`SEARCH RETURN (MIN MAX ALL COUNT) ALL`, "* ESEARCH (TAG \"x\") COUNT 0\nx OK SEARCH completed\n",
		`EXPUNGE`, "x OK EXPUNGE completed\n",
	}
	for i := 0; i < len(dialog); i += 2 {
		d.want(dialog[i], dialog[i+1])
	}
}

// Sessions of one user see each other's changes when they ask, and not before.
func TestIMAPNews(t *testing.T) {
	t.Parallel()
	b := newIMAPBox(imapPlainMail, imapPlainMail, imapPlainMail)
	s := newIMAPServer(t, b, nil)
	one, two := openIMAP(t, s), openIMAP(t, s)
	one.do(`STORE 1,3 +FLAGS (\Deleted)`)
	one.do(`STORE 2 +FLAGS (\Seen)`)
	one.want("EXPUNGE", "* 3 EXPUNGE\n* 1 EXPUNGE\nx OK EXPUNGE completed\n")
	b.receive(imapPlainMail)
	two.want("FETCH 3 (UID FLAGS)", "* 3 FETCH (UID 30 FLAGS ())\nx OK FETCH completed\n")
	two.want("UID SEARCH ALL", "* SEARCH 10 20 30\nx OK UID SEARCH completed\n")
	two.want("NOOP", "* 3 EXPUNGE\n* 1 EXPUNGE\n* 1 FETCH (UID 20 FLAGS (\\Seen))\n* 2 EXISTS\nx OK NOOP completed\n")
	two.want("UID SEARCH ALL", "* SEARCH 20 40\nx OK UID SEARCH completed\n")
	one.want("CHECK", "* 2 EXISTS\nx OK CHECK completed\n")
	one.want("NOOP", "x OK NOOP completed\n")
	if got := two.do("SELECT INBOX"); !strings.Contains(got, "* 2 EXISTS\r\n") || !strings.Contains(got, "UNSEEN 2]") || !strings.Contains(got, "[UIDNEXT 41]") {
		t.Errorf("got %q", got)
	}
}

func TestIMAPIdle(t *testing.T) {
	t.Parallel()
	b := newIMAPBox()
	s := newIMAPServer(t, b, nil)
	d := openIMAP(t, s)
	d.send("x IDLE\r\n")
	if got := d.line(); got != "+ idling\r\n" {
		t.Fatalf("got %q", got)
	}
	for i := range 3 {
		b.receive(imapPlainMail)
		if got, want := d.line(), fmt.Sprintf("* %d EXISTS\r\n", i+1); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	d.send("done\r\n")
	if got := d.answer(); got != "x OK IDLE completed\r\n" {
		t.Errorf("got %q", got)
	}
	// A client that goes away while it waits, and one that waits for nothing.
	d.send("x IDLE\r\n")
	d.line()
	d.conn.Close()
	d = dialIMAP(t, s)
	d.do(`LOGIN alice "open it"`)
	d.send("x IDLE\r\nDONE\r\n")
	if got := d.answer(); got != "+ idling\r\nx OK IDLE completed\r\n" {
		t.Errorf("got %q", got)
	}
}

// A mailbox that is no Watcher tells at the end.
func TestIMAPIdleWithoutWatcher(t *testing.T) {
	t.Parallel()
	b := newIMAPBox()
	d := dialIMAP(t, newIMAPServer(t, b, nil))
	d.do(`LOGIN blind "open it"`)
	d.do("SELECT INBOX")
	d.send("x IDLE\r\n")
	d.line()
	b.receive(imapPlainMail)
	d.send("DONE\r\n")
	if got := d.answer(); got != "* 1 EXISTS\r\nx OK IDLE completed\r\n" {
		t.Errorf("got %q", got)
	}
}

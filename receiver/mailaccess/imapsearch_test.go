package mailaccess

import (
	"strings"
	"testing"
)

func TestIMAPSearch(t *testing.T) {
	t.Parallel()
	changes := NewChanges()
	setFlags(changes, "alice", "id1", []string{`\Seen`, "$Work"})
	setFlags(changes, "alice", "id2", []string{`\Flagged`})
	b := newIMAPBox(
		imapPlainMail, // 10 September, 188 octets.
		crlf("From: =?utf-8?q?J=C3=B6rg?= <j@shop.example>\nSubject: big\nContent-Transfer-Encoding: base64\n\naMO8bGxlIHdhaXQ=\n"+strings.Repeat(" \n", 500)),
		crlf("Date: Fri, 01 Jan 2021 00:30:00 +0900\nX-Empty:\nBcc: x@y.example\n\nno from\xff\n"),
	)
	d := openIMAP(t, newIMAPServer(t, b, func(o *Options) { o.Changes = changes }))
	tests := []struct{ keys, want string }{
		{"ALL", " 1 2 3"},
		{"2:*", " 2 3"},
		{"*", " 3"},
		{"*:2", " 2 3"},
		{"7", ""},
		{"UID 15:30", " 2 3"},
		{"UID 99:*", " 3"},
		{"NOT UID 99:*", " 1 2"},
		{"SEEN", " 1"},
		{"UNSEEN FLAGGED", " 2"},
		{"KEYWORD $work", " 1"},
		{"UNKEYWORD $work UNFLAGGED", " 3"},
		{"NEW", ""},
		{"OLD", " 1 2 3"},
		{"FROM shop", " 1 2"},
		{"FROM {5+}\r\nJÖRG", " 2"},
		{"FROM {4+}\r\nJORG", ""},
		{"FROM {5+}\r\nJörg", " 2"},
		{"CHARSET UTF-8 FROM {5+}\r\njöRG", " 2"},
		{"FROM \"j=c3=b6\"", " 2"},
		{"BCC x@Y", " 3"},
		{"HEADER x-empty \"\"", " 3"},
		{"HEADER x-empty x", ""},
		{"SUBJECT order", " 1"},
		{"BODY alice", " 1"},
		{"BODY shop", ""},
		{"TEXT shop", " 1 2"},
		{"TEXT subject:", " 1 2"},
		{"BODY {6+}\r\nhülle", " 2"},
		{"BODY amo8", " 2"},
		{"BODY \"\"", " 1 2 3"},
		{"LARGER 500", " 2"},
		{"SMALLER 500", " 1 3"},
		{"SMALLER 150 SINCE 1-Sep-2026", " 3"},
		{"SMALLER 500 LARGER 150", " 1"},
		{"(SMALLER 500 LARGER 150)", " 1"},
		{"OR SMALLER 100 (SMALLER 500 SINCE 1-Sep-2026 LARGER 150)", " 1 3"},
		{"NOT SMALLER 500 SINCE 1-Sep-2026", " 2"},
		{"SUBJECT SMALLER", ""},
		{"HEADER SMALLER SMALLER 1", ""},
		{"SUBJECT \"SMALLER\" SMALLER 5 SINCE 1-Sep-2026", ""},
		{"ON 11-Sep-2026", " 2"},
		{"SINCE 11-Sep-2026", " 2 3"},
		{"BEFORE 11-Sep-2026", " 1"},
		{"SENTON 1-Jan-2021", " 3"},
		{"SENTSINCE 1-Jan-2021", " 1 3"},
		{"SENTBEFORE 1-Jan-2021", ""},
		{"OR SEEN FROM big", " 1"},
		{"OR FROM shop.example TO nobody", " 1 2"},
		{"NOT OR SEEN FLAGGED", " 3"},
		{"NOT (SEEN KEYWORD $Work)", " 2 3"},
	}
	for _, tt := range tests {
		d.want("SEARCH "+tt.keys, "* SEARCH"+tt.want+"\nx OK SEARCH completed\n")
	}
	d.want("UID SEARCH SMALLER 500 LARGER 150", "* SEARCH 10\nx OK UID SEARCH completed\n")
	d.want("SEARCH RETURN (MIN MAX COUNT ALL) 2:3", "* ESEARCH (TAG \"x\") ALL 2:3 MIN 2 MAX 3 COUNT 2\nx OK SEARCH completed\n")
	d.want("UID SEARCH RETURN () UNSEEN", "* ESEARCH (TAG \"x\") UID ALL 20,30\nx OK UID SEARCH completed\n")
	d.want("SEARCH RETURN (SAVE) ALL", "x BAD [CLIENTBUG] results of SEARCH are not kept\n")
	d.want("SEARCH OR UID $ NOT $", "x BAD [CLIENTBUG] results of SEARCH are not kept\n")
	d.want("SEARCH CHARSET LATIN1 ALL", "x NO [BADCHARSET] Only US-ASCII and UTF-8 are supported SEARCH charsets\n")
}

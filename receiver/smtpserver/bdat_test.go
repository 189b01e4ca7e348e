package smtpserver

import (
	"strings"
	"testing"
)

func TestBDAT(t *testing.T) {
	t.Parallel()
	const start = "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\n"
	tests := []struct {
		name  string
		send  string // After EHLO.
		codes string // Code and first word of each reply after RCPT.
		raw   []string
	}{
		{"one chunk", start + "BDAT 4 LAST\r\nab\r\n", "250/2.0.0", []string{"ab\r\n"}},
		{"nothing at all", start + "BDAT 0 LAST\r\n", "250/2.0.0", []string{""}},
		{"three chunks", start + "BDAT 2\r\nabBDAT 1\r\ncBDAT 0 LAST\r\n", "250/2.0.0 250/2.0.0 250/2.0.0", []string{"abc"}},
		{"lower case", start + "bdat 2 last\r\nab", "250/2.0.0", []string{"ab"}},
		{"dots and commands are text", start + "BDAT 20 LAST\r\n.\r\n.\r\nQUIT\r\n..\r\n.\r\n" + "!", "250/2.0.0", []string{".\r\n.\r\nQUIT\r\n..\r\n.\r\n!"}},
		{"leading zeros", start + "BDAT 002 LAST\r\nab", "250/2.0.0", []string{"ab"}},
		{"DATA between chunks", start + "BDAT 2\r\nabDATA\r\nBDAT 1 LAST\r\nc", "250/2.0.0 503/5.5.1 250/2.0.0", []string{"abc"}},
		{"MAIL and RCPT between chunks", start + "BDAT 2\r\nabMAIL FROM:<x@b.example>\r\nRCPT TO:<x@gmail.test>\r\nBDAT 1 LAST\r\nc", "250/2.0.0 503/5.5.1 503/5.5.1 250/2.0.0", []string{"abc"}},
		{"NOOP between chunks", start + "BDAT 2\r\nabNOOP\r\nBDAT 1 LAST\r\nc", "250/2.0.0 250/2.0.0 250/2.0.0", []string{"abc"}},
		{"RSET clears", start + "BDAT 2\r\nabRSET\r\nBDAT 4 LAST\r\nNOOP" + start + "BDAT 1 LAST\r\nc", "250/2.0.0 250/2.1.5 503/5.5.1 250/2.1.0 250/2.1.5 250/2.0.0", []string{"c"}},
		{"EHLO clears", start + "BDAT 2\r\nabHELO c\r\nBDAT 4 LAST\r\nNOOP" + start + "BDAT 1 LAST\r\nc", "250/2.0.0 250/mx.gmail.test 503/5.5.1 250/2.1.0 250/2.1.5 250/2.0.0", []string{"c"}},
		{"after LAST", start + "BDAT 2 LAST\r\nabBDAT 5 LAST\r\nNOOP\n", "250/2.0.0 503/5.5.1", []string{"ab"}},
		{"no transaction", "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n", "503/5.5.1 503/5.5.1", nil},
		{"no recipient", "MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\n", "250/2.1.0 503/5.5.1", nil},
		{"too large: the message has failed", start + "BDAT 90\r\n" + strings.Repeat("x", 90) + "BDAT 11\r\nQUIT\r\nNOOP\nBDAT 1 LAST\r\ny" + start + "BDAT 1 LAST\r\nz",
			"250/2.0.0 552/5.3.4 503/5.5.1 250/2.1.0 250/2.1.5 250/2.0.0", []string{"z"}},
		{"cut off", start + "BDAT 9 LAST\r\nQUIT\r\n", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &box{}
			got := converse(newServer(t, b, func(o *Options) { o.MaxSize = 100 }), strings.NewReader("HELO c\r\n"+tt.send))
			var codes []string
			for line := range strings.Lines(got) {
				if line[3] == ' ' {
					enhanced, _, _ := strings.Cut(line[4:], " ")
					codes = append(codes, line[:3]+"/"+enhanced)
				}
			}
			codes = codes[2:] // Greeting and HELO.
			if strings.HasPrefix(tt.send, start) {
				codes = codes[2:]
			}
			if strings.Join(codes, " ") != tt.codes {
				t.Errorf("got  %s\nwant %s", strings.Join(codes, " "), tt.codes)
			}
			var raw []string
			for _, m := range b.all() {
				raw = append(raw, m.raw)
			}
			if strings.Join(raw, "|") != strings.Join(tt.raw, "|") || len(raw) != len(tt.raw) {
				t.Errorf("got mails %q, want %q", raw, tt.raw)
			}
		})
	}
}

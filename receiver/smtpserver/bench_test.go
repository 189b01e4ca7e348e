package smtpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// sink is a Backend that takes everything and keeps nothing.
type sink struct{}

func (sink) Admit(context.Context, *Envelope, Stage) *Reply  { return nil }
func (sink) Rcpt(context.Context, *Envelope, string) *Reply  { return nil }
func (sink) Deliver(context.Context, Envelope, []byte) Reply { return Reply{Code: 250} }
func (sink) NewSession(*smtp.Conn) (smtp.Session, error)     { return sinkSession{}, nil }

type sinkSession struct{}

func (sinkSession) Mail(string, *smtp.MailOptions) error { return nil }
func (sinkSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (sinkSession) Reset()                               {}
func (sinkSession) Logout() error                        { return nil }
func (sinkSession) Data(r io.Reader) error {
	_, err := io.ReadAll(r) // Ours hands over the octets too.
	return err
}

// BenchmarkMessages sends messages of 2.8 KB and of 7 MB over ten connections,
// next to go-smtp alone. Client and server share the processors.
func BenchmarkMessages(b *testing.B) {
	for _, lines := range []int{40, 100_000} {
		size := strconv.Itoa(70 * lines)
		b.Run("doppelbox/"+size, func(b *testing.B) {
			benchmarkMessages(b, listen(b, newServer(b, sink{}, nil)), lines)
		})
		b.Run("go-smtp/"+size, func(b *testing.B) {
			s := smtp.NewServer(sink{})
			s.ErrorLog = log.New(io.Discard, "", 0)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			served := make(chan struct{})
			go func() { defer close(served); s.Serve(l) }()
			defer func() { s.Close(); <-served }()
			benchmarkMessages(b, l.Addr().String(), lines)
		})
	}
}

func benchmarkMessages(b *testing.B, addr string, lines int) {
	message := strings.Repeat(strings.Repeat("x", 68)+"\r\n", lines) + ".\r\n"
	const connections = 10
	work := make(chan struct{}, connections)
	var wg sync.WaitGroup
	for range connections {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		wg.Go(func() {
			in := bufio.NewReader(conn)
			say := func(s string, replies int) {
				io.WriteString(conn, s)
				for replies > 0 {
					line, err := in.ReadSlice('\n')
					if err != nil {
						panic(fmt.Sprintf("reading reply: %v", err))
					}
					if line[3] == ' ' {
						replies--
					}
				}
			}
			say("EHLO c.example\r\n", 2)
			for range work {
				say("MAIL FROM:<a@sender.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\n", 3)
				say(message, 1)
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

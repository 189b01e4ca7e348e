package provider_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// failingStore keeps no message until it is mended.
type failingStore struct {
	mailbox.Store
	mended bool
}

func (s *failingStore) Put(ctx context.Context, rows ...mailbox.Message) error {
	if !s.mended {
		return errors.New("the disk is full")
	}
	return s.Store.Put(ctx, rows...)
}

// TestNotStored holds that a message that could not be kept is not answered with
// 250, and counts for nobody.
func TestNotStored(t *testing.T) {
	t.Parallel()
	store := &failingStore{Store: mailbox.NewMemory(mailbox.Limits{})}
	p := newProvider(t, provider.Options{Store: store})
	m := provider.Mail{
		HELO: "mail.shop.example", From: "bounce@shop.example", To: []string{"alice@gmail.test"},
		Raw: []byte("From: noreply@shop.example\r\nMessage-ID: <1@shop.example>\r\n\r\ntext\r\n"),
	}
	for _, want := range []int{451, 451, 250} {
		store.mended = want == 250
		d, err := p.Deliver(t.Context(), netip.MustParseAddr(senderPeer), m, false)
		if err != nil {
			t.Fatal(err)
		}
		if d.Reply.Code != want {
			t.Errorf("got %s, want %d", d.Reply, want)
		}
		if want == 250 && d.Messages[0].Evidence.Sender.Volume != 1 {
			t.Errorf("the sender is %+v", d.Messages[0].Evidence.Sender)
		}
	}
}

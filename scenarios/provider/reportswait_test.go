package provider

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/receiver/reports"
)

// Mail that does not get out in time is not waited for, and reports say so.
func TestReportsPending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newAgendaWorld(t, StandingClock(agendaStart))
		d.duty(0, func(ctx context.Context) { <-ctx.Done() })
		begun := time.Now()
		var none *reports.NoTrafficError
		if _, err := w.Reports(t.Context(), ReportQuery{Domain: "shop.example"}); !errors.As(err, &none) || !none.Pending ||
			!strings.HasSuffix(err.Error(), "; "+reports.PendingNote) || time.Since(begun) != reportsWait {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		account := "alice@" + w.Providers()[0].domain
		row := mailbox.Outgoing{World: w.name, ID: "o1", Account: account, To: "x@shop.example", Sessions: []mailbox.TLSSession{{At: agendaStart}}}
		if err := w.store.PutOutgoing(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		list, err := w.Reports(t.Context(), ReportQuery{Domain: "shop.example"})
		if err != nil || len(list) != 2 {
			t.Fatalf("%d files, %v", len(list), err)
		}
		for _, f := range list {
			if !strings.Contains(strings.Join(f.Notes, "\n"), reports.PendingNote) {
				t.Errorf("%s: %q", f.Name, f.Notes)
			}
		}
	})
}

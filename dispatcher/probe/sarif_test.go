package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// TestStoppedInReports has a run that had to end: programs that read its report
// see that it did not come to its end, however little it found.
func TestStoppedInReports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, stopped := range []bool{false, true} {
		_, target, o := b.try(t)
		o.Only = []string{"audience"}
		if stopped {
			exchange, sent := o.Exchange, 0
			o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
				if sent++; sent > 4 {
					return dispatcher.Attempt{Reason: dispatcher.ReasonTimeout, Error: "no answer", Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3"}
				}
				return exchange(ctx, r)
			}
		}
		report, err := probe.Run(t.Context(), target, o)
		if err != nil {
			t.Fatal(err)
		}
		var sarif struct {
			Runs []struct {
				Invocations []struct{ ExecutionSuccessful bool }
			}
		}
		var plain struct{ Stopped bool }
		var asSARIF, asJSON bytes.Buffer
		err = errors.Join(probe.WriteSARIF(&asSARIF, report), probe.WriteJSON(&asJSON, report))
		if err := errors.Join(err, json.Unmarshal(asSARIF.Bytes(), &sarif), json.Unmarshal(asJSON.Bytes(), &plain)); err != nil {
			t.Fatal(err)
		}
		if got := sarif.Runs[0].Invocations[0].ExecutionSuccessful; got == stopped || plain.Stopped != stopped {
			t.Errorf("stopped is %v, executionSuccessful %v, in JSON %v", stopped, got, plain.Stopped)
		}
	}
}

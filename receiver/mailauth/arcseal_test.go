package mailauth

import (
	"bytes"
	"crypto"
	"errors"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

func TestSeal(t *testing.T) {
	t.Parallel()
	s, dns := newSealer(t), texts{}
	raw := "Delivered-To: bob@hop1.example\r\nReturn-Path: <a@shop.example>\r\nReceived: by mx\r\nAuthentication-Results: mx; none\r\n" +
		"DKIM-Signature: v=1\r\nDKIM-Signature: v=1\r\nUser-Agent: x\r\nMessage-ID: <1@shop.example>\r\nX-Other: x\r\n" + plain
	m := message.Parse([]byte(raw))
	o := s.options(dns, 1, policy.ARC{Result: policy.AuthNone})
	got, err := Seal(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Seal(m, o); err != nil || !bytes.Equal(got, again) {
		t.Errorf("not the same octets: %v", err)
	}
	// b= and bh= stand for their values, whose lines are looked at below.
	var shape []string
	for line := range strings.Lines(string(got)) {
		line = strings.TrimSuffix(line, "\r\n")
		text := strings.TrimLeft(line, " ")
		switch indent := len(line) - len(text); {
		case indent > 0 && len(line) > 77:
			t.Errorf("a line of %d octets: %q", len(line), line)
		case indent == 9 && !strings.HasPrefix(text, ":"):
			continue
		case strings.HasPrefix(text, "b="), strings.HasPrefix(text, "bh="):
			line, _, _ = strings.Cut(line, "=")
		}
		shape = append(shape, line)
	}
	const want = `ARC-Seal: i=1; a=rsa-sha256; t=1700000001; cv=none;
        d=hop1.example; s=arc;
        b
ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=hop1.example; s=arc;
        h=subject:to:from:message-id:user-agent:dkim-signature:dkim-signature
         :delivered-to;
        bh
        b
ARC-Authentication-Results: i=1; mx.hop1.example;
       spf=pass smtp.mailfrom=noreply@shop.example`
	if got := strings.Join(shape, "\n"); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestSealFailed seals a chain that was broken: over the new set alone, and
// only once.
func TestSealFailed(t *testing.T) {
	t.Parallel()
	s, dns := newSealer(t), texts{}
	v := &Verifier{Resolver: dns, Now: at(1_700_000_100)}
	sealed := chainOf(t, s, dns, 2)
	for name, raw := range map[string][]byte{
		"body":         replaced(t, sealed, "Hello,", "Hullo,"),
		"set missing":  withoutFields(sealed, setOf(1)...),
		"unreadable":   append([]byte("ARC-Seal: i=3; i=3\r\n"), sealed...),
		"no instances": append([]byte("ARC-Seal: i=x\r\nARC-Message-Signature: =\r\n"), plain...),
	} {
		before := arcOf(v, raw)
		o := s.options(dns, 3, before)
		raw = seal(t, raw, o)
		got := arcOf(v, raw)
		checkARC(t, got, true)
		newest := got.Sets[len(got.Sets)-1]
		if got.Reason != ReasonChainFailed || newest.CV != "fail" || newest.Domain != o.Domain || len(got.Sets) != len(before.Sets)+1 {
			t.Errorf("%s: %+v, then %+v", name, before, got)
		}
		c := collectARC(message.Parse(raw))
		c.bodies = newBodyHashes(nil)
		n := len(c.sets)
		if key := parseKey(s.record); !c.sets[n-1].seal.verifies(key, c.hashSeal(n, n)) || n > 1 && c.sets[n-1].seal.verifies(key, c.hashSeal(1, n)) {
			t.Errorf("%s: the seal does not cover its own set alone", name)
		}
		if fields, err := Seal(message.Parse(raw), s.options(dns, 4, got)); fields != nil || err != nil {
			t.Errorf("%s: sealed again: %s, %v", name, fields, err)
		}
	}
}

func TestSealErrors(t *testing.T) {
	t.Parallel()
	s, dns := newSealer(t), texts{}
	sealed := string(chainOf(t, s, dns, 1))
	good := s.options(dns, 2, policy.ARC{Result: policy.AuthNone})
	pass := policy.ARC{Result: policy.AuthPass, Sets: make([]policy.ARCSet, 1)}
	for name, tt := range map[string]struct {
		raw    string
		change func(*SealOptions)
		want   error
	}{
		"good":                   {plain, func(*SealOptions) {}, nil},
		"good, second":           {sealed, func(o *SealOptions) { o.Chain = pass }, nil},
		"good, own headers":      {plain, func(o *SealOptions) { o.Headers = []string{"From", "Reply-To"} }, nil},
		"no key":                 {plain, func(o *SealOptions) { o.Key = nil }, errSealKey},
		"key of another kind":    {plain, func(o *SealOptions) { o.Key = crypto.Signer(testKey()) }, errSealKey},
		"no domain":              {plain, func(o *SealOptions) { o.Domain = "" }, errDomain},
		"line end in domain":     {plain, func(o *SealOptions) { o.Domain = "a.example\r\nX: y" }, errDomain},
		"tag in domain":          {plain, func(o *SealOptions) { o.Domain = "a.example; h=from" }, errDomain},
		"line end in selector":   {plain, func(o *SealOptions) { o.Selector = "s\r\n " }, errSelector},
		"line end in headers":    {plain, func(o *SealOptions) { o.Headers = []string{"From\r\nX"} }, errSealHeaders},
		"results in headers":     {plain, func(o *SealOptions) { o.Headers = []string{"authentication-results"} }, errSealHeaders},
		"seal in headers":        {plain, func(o *SealOptions) { o.Headers = []string{"From", "ARC-Seal"} }, errSealHeaders},
		"many headers":           {plain, func(o *SealOptions) { o.Headers = make([]string, maxSignedFields+1) }, errSealHeaders},
		"no results":             {plain, func(o *SealOptions) { o.Results = "" }, errSealResults},
		"line end in results":    {plain, func(o *SealOptions) { o.Results = "mx;\r\nX: y" }, errSealResults},
		"line end after results": {plain, func(o *SealOptions) { o.Results = "mx; none\r\n" }, errSealResults},
		"bare LF in results":     {plain, func(o *SealOptions) { o.Results = "mx;\n none" }, errSealResults},
		"bare CR in results":     {plain, func(o *SealOptions) { o.Results = "mx;\r none" }, errSealResults},
		"blank line in results":  {plain, func(o *SealOptions) { o.Results = "mx;\r\n \r\n none" }, errSealResults},
		"NUL in results":         {plain, func(o *SealOptions) { o.Results = "mx; no\x00ne" }, errSealResults},
		"no UTF-8 in results":    {plain, func(o *SealOptions) { o.Results = "mx; \x80" }, errSealResults},
		"long line in results":   {plain, func(o *SealOptions) { o.Results = strings.Repeat("x", 990) }, errSealResults},
		"long results":           {plain, func(o *SealOptions) { o.Results = "mx" + strings.Repeat("\r\n x", 10_000) }, errSealResults},
		"no chain":               {plain, func(o *SealOptions) { o.Chain = policy.ARC{} }, errSealChain},
		"chain without fields":   {plain, func(o *SealOptions) { o.Chain = pass }, errSealChain},
		"failed without fields":  {plain, func(o *SealOptions) { o.Chain.Result = policy.AuthFail }, errSealChain},
		"none with fields":       {sealed, func(*SealOptions) {}, errSealChain},
		"another chain":          {sealed, func(o *SealOptions) { o.Chain = policy.ARC{Result: policy.AuthPass} }, errSealChain},
		"a broken chain passes":  {"ARC-Seal: i=1\r\n" + plain, func(o *SealOptions) { o.Chain = pass }, errSealChain},
	} {
		o := good
		tt.change(&o)
		fields, err := Seal(message.Parse([]byte(tt.raw)), o)
		if !errors.Is(err, tt.want) || (fields == nil) != (err != nil) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// FuzzARC validates any message, seals it, and validates it again.
func FuzzARC(f *testing.F) {
	s, dns := newSealer(f), texts{}
	f.Add([]byte(plain), "mx.hop.example; none")
	f.Add(chainOf(f, s, dns, 2), "mx.hop.example;\r\n       spf=pass")
	f.Add([]byte("ARC-Seal: i=2; cv=fail\r\nARC-Authentication-Results: (x i=1; y\nARC-Message-Signature: i=1\r\n"+plain), "x")
	f.Fuzz(func(t *testing.T, raw []byte, results string) {
		v := &Verifier{Resolver: dns, Now: at(1_700_000_100)}
		m := message.Parse(raw)
		got := arcOf(v, raw)
		checkARC(t, got, hasARC(m))
		o := s.options(texts{}, 1, got)
		o.Results = results
		fields, err := Seal(m, o)
		switch {
		case err != nil:
			if !errors.Is(err, errSealResults) {
				t.Error(err)
			}
			return
		case fields == nil:
			if got.Reason != ReasonChainFailed && len(got.Sets) < maxARCSets {
				t.Errorf("not sealed: %+v", got)
			}
			return
		}
		dns := texts{"arc._domainkey.hop1.example": {s.record}, "arc._domainkey.hop2.example": {s.record}}
		block := message.Parse(fields)
		if len(block.Fields) != arcKinds || len(block.Problems) > 0 || len(block.Body) > 0 {
			t.Fatalf("no three fields: %q", fields)
		}
		// What begins with white space, or with no field, becomes another
		// message below a field.
		whole := message.Parse(append(fields, raw...))
		if len(whole.Fields) != arcKinds+len(m.Fields) || !bytes.Equal(whole.Fields[arcKinds-1].Raw, block.Fields[arcKinds-1].Raw) || !bytes.Equal(whole.Body, m.Body) {
			return
		}
		again := arcOf(&Verifier{Resolver: dns, Now: v.Now}, whole.Raw)
		checkARC(t, again, true)
		want := policy.AuthPass
		if got.Result == policy.AuthFail {
			want = policy.AuthFail
		}
		if again.Result != want || want == policy.AuthFail && again.Reason != ReasonChainFailed {
			t.Errorf("%+v, sealed: %+v", got, again)
		}
	})
}

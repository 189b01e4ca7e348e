package policy

import "testing"

func TestLooksLike(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		domain, known string
		want          bool
	}{
		{"sh0p.example", "shop.example", true},
		{"SHOP.example", "shop.example", true},
		{"mail.sh0p.example", "shop.example", true},
		{"ѕһор.example", "shop.example", true},
		{"shοp.example", "shop.example", true}, // Greek.
		{"shօp.example", "shop.example", true}, // Armenian.
		{"shöp.example", "shop.example", true},
		{"ｓｈｏｐ.example", "shop.example", true},
		{"sh\u00adop.example", "shop.example", true},
		{"shop.examp1e", "shop.example", true},
		{"shop.exampie", "shop.example", true},
		{"grnail.test", "gmail.test", true},
		{"vvorld.example", "world.example", true},
		{"clinic.example", "dinic.example", true},
		{"sʜᴏᴘ.example", "shop.example", true},
		{"my--shop.example", "my-shop.example", true},
		{"my\u2013shop.example", "my-shop.example", true},
		{"shap.example", "shop.example", false},
		{"shop.test", "shop.example", false},
		{"shopp.example", "shop.example", false},
		{"example", "shop.example", false},
		{"почта.example", "mail.example", false},
	} {
		got := false
		for rest := range parents(tt.domain) {
			got = got || skeleton(rest) == skeleton(tt.known)
		}
		if got != tt.want {
			t.Errorf("%q like %q: %v, as %q and %q", tt.domain, tt.known, got, skeleton(tt.domain), skeleton(tt.known))
		}
	}
}

// What stands for another character has one form: the skeleton of a skeleton is
// the same.
func TestLookAlikesAreFinal(t *testing.T) {
	t.Parallel()
	for r, plain := range lookAlikes {
		for _, p := range plain {
			if other, ok := lookAlikes[p]; ok && p != 'i' {
				t.Errorf("%q stands for %q, which stands for %q", r, p, other)
			}
		}
		if once := skeleton(string(r)); skeleton(once) != once {
			t.Errorf("%q: %q, and then %q", r, once, skeleton(once))
		}
	}
}

func TestMixesScripts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "shop": false, "sh0p-1": false, "bücher": false, "почта": false, "магазин-1": false, "商店": false, "トヨタ自動車shop": false, "삼성shop": false, "ㄅ商shop": false,
		"ελλάδα": false, "متجر1": false, "שלום": false, "e\u0301": false,
		"shоp": true, "ρaypal": true, "аβ": true, "магазинshop": true, "商店ма": true, "삼성トヨ": true, "ㄅト": true, "shop\u0561": true, "\U000e1000x": true,
	} {
		if got := mixesScripts(text); (got != "") != want {
			t.Errorf("%q: %q, want %v", text, got, want)
		}
	}
}

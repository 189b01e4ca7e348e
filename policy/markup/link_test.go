package markup

import "testing"

// A handler whose URL is that of a visible link is how a copied template makes
// an in-app action by accident (gmail-actions.md 12 item 10).
func TestHandlerLink(t *testing.T) {
	t.Parallel()
	for element, want := range map[string]bool{
		`<a itemprop="url" href="https://a.example/">Confirm</a>`: true,
		`<link itemprop="url" href="https://a.example/">`:         false,
		`<meta itemprop="url" content="https://a.example/">`:      false,
		`<span itemprop="url">https://a.example/</span>`:          false,
	} {
		actions, _, _ := ExtractHTML("1", []byte(`<div itemscope itemtype="http://schema.org/ConfirmAction"><p itemprop="handler" itemscope itemtype="http://schema.org/HttpActionHandler">`+element+`</p></div>`))
		if len(actions) != 1 || len(actions[0].Handlers) != 1 || actions[0].Handlers[0].Link != want {
			t.Errorf("%s: %+v", element, actions)
		}
	}
}

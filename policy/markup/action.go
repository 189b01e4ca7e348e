package markup

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

const handlerType = "HttpActionHandler"

// actionProperties and handlerProperties are the names under which an action
// and a handler stand: today's first, then the legacy ones and the lower-case
// spelling of Google Calendar's mails (gmail-actions.md 0.8, 1.8).
var (
	actionProperties  = []string{"potentialAction", "action", "potentialaction"}
	handlerProperties = []string{"handler", "actionHandler", "actionhandler"}
)

// top reads a top-level item.
func (p *page) top(it *item, syntax string) {
	if typ := it.typ(); typ != "" {
		p.found = append(p.found, found{at: it.at, item: typ})
	}
	f := finder{page: p, syntax: syntax}
	if it.actionType() != "" {
		f.action(it, nil, "")
	}
	f.walk(it)
}

// finder finds the actions in one top-level item. An action is a button if it
// is the item itself, or the value of one of actionProperties of any item in
// it; under another property it is part of a description.
type finder struct {
	page   *page
	syntax string
}

func (f *finder) walk(it *item) {
	// By itemref, one item can be reached in many ways, and from several others.
	if f.page.seen[it] {
		return
	}
	f.page.seen[it] = true
	f.checkNames(it)
	for _, p := range it.props {
		isAction := slices.Contains(actionProperties, p.name)
		isHandler := slices.Contains(handlerProperties, p.name)
		for _, v := range p.values {
			switch {
			case isAction && (v.item == nil || v.item.actionType() == ""):
				f.page.add(v.at, ActionType, "%s holds no item of an action type", p.name)
			case isAction && !f.page.seen[v.item]:
				f.action(v.item, it, p.name)
			case isAction || v.item == nil:
			case v.item.actionType() != "":
				f.page.add(v.at, ActionMisplaced, "%.60s under %.60s makes no button; potentialAction does", v.item.actionType(), p.name)
			case v.item.is(handlerType) && (!isHandler || it.actionType() == ""):
				f.page.add(v.at, HandlerMisplaced, "%s under %.60s of %.60q is not used; it belongs under the handler of an action", handlerType, p.name, it.typ())
			}
			if v.item != nil {
				f.walk(v.item)
			}
		}
	}
	f.implied(it)
}

// action adds the action of an item. Owner is the item that carries it, nil if
// none does; via is the property.
func (f *finder) action(it, owner *item, via string) {
	if !f.page.roomFor(it.at) {
		return
	}
	a := &policy.Action{
		Syntax:      f.syntax,
		Type:        it.actionType(),
		Name:        f.single(it, "name", PropertyRepeated),
		Description: it.text("description"),
		StartTime:   f.single(it, "startTime", PropertyRepeated),
		EndTime:     f.single(it, "endTime", PropertyRepeated),
		Place:       f.page.place(it.at),
		Extent:      f.page.extent(it),
	}
	if owner != nil {
		a.On, a.Description = owner.typ(), owner.text("description")
		addLegacy(a, via, actionProperties)
	}
	reach := it.reach
	if owner != nil {
		reach = max(reach, f.page.reach(owner.at), f.reach(owner, "description"))
	}
	a.Start, a.End = f.time(it, "startTime", a.StartTime), f.time(it, "endTime", a.EndTime)
	for _, p := range it.props {
		isHandler := slices.Contains(handlerProperties, p.name)
		if isHandler {
			addLegacy(a, p.name, handlerProperties)
		}
		for _, v := range p.values {
			switch {
			case isHandler:
				f.handler(a, v)
			case p.name == "url" || p.name == "target":
				f.target(a, v)
			}
		}
	}
	switch {
	case len(a.Handlers) > 0:
		a.Kind = policy.KindInApp
	case len(a.Targets) > 0:
		a.Kind = policy.KindGoTo
	default:
		a.Kind = policy.KindNothing
	}
	f.page.found = append(f.page.found, found{at: it.at, reach: reach, action: a})
}

// reach returns how far down the values of a property reach.
func (f *finder) reach(it *item, name string) int {
	last := -1
	for _, v := range it.values(name) {
		last = max(last, f.page.reachOf(v))
	}
	return last
}

// roomFor reports whether there is room for one more action.
func (p *page) roomFor(at int) bool {
	if p.count++; p.count == maxActions+1 {
		p.overflow = at
	}
	return p.count <= maxActions
}

// addLegacy notes a property name that is not the first of its names.
func addLegacy(a *policy.Action, name string, names []string) {
	if name != names[0] && !slices.Contains(a.Legacy, name) {
		a.Legacy = append(a.Legacy, name)
	}
}

// handler adds a handler. A WebActionHandler is what Gmail makes of an action's
// url (gmail-actions.md 1.5, 1.10), so its url is a target.
func (f *finder) handler(a *policy.Action, v value) {
	switch {
	case v.item == nil:
		f.page.add(v.at, HandlerType, "a handler is an item of type %s, not a text", handlerType)
	case v.item.is(handlerType) && len(a.Handlers) == maxTargets:
		f.page.add(v.at, TooManyTargets, "only the first %d handlers of an action are read", maxTargets)
	case v.item.is(handlerType):
		url := f.one(v.item, "url", URLRepeated)
		a.Handlers = append(a.Handlers, policy.Handler{
			Type:     handlerType,
			URL:      url.string(),
			Method:   f.method(v.item),
			Encoding: f.single(v.item, "encoding", PropertyRepeated),
			Link:     url.link,
		})
	case v.item.is("WebActionHandler"):
		for _, u := range v.item.values("url") {
			f.target(a, u)
		}
	default:
		f.page.add(v.at, HandlerType, "a handler of type %.60q is not known; it must be %s", v.item.typ(), handlerType)
	}
}

// target adds a URL: a text, or an EntryPoint.
func (f *finder) target(a *policy.Action, v value) {
	url := v.string()
	if v.item != nil && !v.item.is(handlerType) {
		url = cmp.Or(v.item.text("urlTemplate"), v.item.text("url"), url)
	}
	switch {
	case url == "" || slices.Contains(a.Targets, url):
	case len(a.Targets) == maxTargets:
		f.page.add(v.at, TooManyTargets, "only the first %d targets of an action are read", maxTargets)
	default:
		a.Targets = append(a.Targets, url)
	}
}

// method returns the method of a handler: "POST" or "GET" if it is written in
// one of the ways of gmail-actions.md 1.4, or else as it stands.
func (f *finder) method(it *item) string {
	written := f.single(it, "method", PropertyRepeated)
	if written == "" {
		return ""
	}
	method, _ := term(written)
	method = strings.TrimPrefix(method, "schema:")
	if rest, ok := strings.CutPrefix(method, "HttpRequestMethod"); ok && rest != "" && (rest[0] == '/' || rest[0] == '.') {
		method = rest[1:]
	}
	if method == "POST" || method == "GET" {
		return method
	}
	f.page.add(it.values("method")[0].at, MethodUnknown, "method %.60q is neither GET nor POST", written)
	return written
}

// implied adds the TrackAction that Gmail makes of a parcel's trackingUrl
// (gmail-actions.md 1.3).
func (f *finder) implied(it *item) {
	if !it.is("ParcelDelivery") {
		return
	}
	for _, name := range actionProperties {
		for _, v := range it.values(name) {
			if v.item != nil && v.item.is("TrackAction") {
				return
			}
		}
	}
	url := it.text("trackingUrl")
	if url == "" {
		return
	}
	at := it.values("trackingUrl")[0].at
	if !f.page.roomFor(at) {
		return
	}
	reach := max(f.page.reach(it.at), f.reach(it, "trackingUrl"), f.reach(it, "description"))
	f.page.found = append(f.page.found, found{at: at, reach: reach, action: &policy.Action{
		Syntax:      f.syntax,
		Type:        "TrackAction",
		On:          it.typ(),
		Description: it.text("description"),
		Kind:        policy.KindGoTo,
		Targets:     []string{url},
		Implied:     "trackingUrl",
		Place:       f.page.place(at),
		Extent:      f.page.extent(it),
	}})
}

// single returns the text of a property that has one value: of several the first,
// unless the last is to count. Which of them Gmail takes is not known
// (gmail-actions.md 1.7).
func (f *finder) single(it *item, name string, repeated policy.Reason) string {
	return f.one(it, name, repeated).string()
}

// one returns the value of such a property.
func (f *finder) one(it *item, name string, repeated policy.Reason) (counts value) {
	list := slices.DeleteFunc(it.values(name), func(v value) bool { return v.string() == "" })
	if len(list) == 0 {
		return value{}
	}
	counts, which := list[0], "first"
	if f.page.options.Last {
		counts, which = list[len(list)-1], "last"
	}
	for _, v := range list {
		if v.string() != list[0].string() {
			f.page.add(v.at, repeated, "%s of %.60q has several values; the %s counts", name, it.typ(), which)
			break
		}
	}
	return counts
}

// layouts are the forms of ISO 8601 that are read; those without offset come
// last. Fractions of a second are allowed in all of them.
var layouts = []struct {
	layout string
	zone   bool
}{
	{time.RFC3339, true}, {"2006-01-02T15:04Z07:00", true}, {"2006-01-02T15:04:05Z0700", true}, {"2006-01-02T15:04:05Z07", true},
	{"2006-01-02T15:04:05", false}, {"2006-01-02T15:04", false}, {time.DateOnly, false},
}

// time reads the text of a property; zero if it cannot be read.
func (f *finder) time(it *item, name, text string) time.Time {
	list := it.values(name)
	if len(list) == 0 {
		return time.Time{}
	}
	at := list[0].at
	for _, l := range layouts {
		t, err := time.Parse(l.layout, text)
		if err != nil {
			continue
		}
		if t.IsZero() {
			f.page.add(at, TimeUnreadable, "%s %.60q is the beginning of the year 1, which bounds nothing", name, text)
			return t
		}
		if !l.zone {
			f.page.add(at, TimeNoZone, "%s %.60q has no offset and is read as UTC", name, text)
		}
		return t
	}
	f.page.add(at, TimeUnreadable, "%s %.60q is not a time of ISO 8601", name, text)
	return time.Time{}
}

package mailauth

import "time"

// Pacific returns a time as clocks in California show it, where Gmail's clocks
// are. It goes by the rule of the Energy Policy Act of 2005, for every year, so
// that no time zone data is needed.
func Pacific(t time.Time) time.Time {
	const hour = 60 * 60
	year := t.UTC().Year()
	// 2:00 of standard time on the second Sunday of March, and of daylight time
	// on the first of November.
	begin := sunday(year, time.March, 2).Add(10 * time.Hour)
	end := sunday(year, time.November, 1).Add(9 * time.Hour)
	if t.Before(begin) || !t.Before(end) {
		return t.In(time.FixedZone("PST", -8*hour))
	}
	return t.In(time.FixedZone("PDT", -7*hour))
}

// sunday returns the beginning, in UTC, of the nth Sunday of a month.
func sunday(year int, month time.Month, n int) time.Time {
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return first.AddDate(0, 0, (7-int(first.Weekday()))%7+7*(n-1))
}

package diagnosis

// Remedied returns the causes that have a remedy of their own.
func Remedied() []Cause {
	var list []Cause
	for cause := range remedies {
		list = append(list, cause)
	}
	return list
}

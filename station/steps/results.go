package steps

import (
	"strconv"

	"linefit/station"
)

func ok(measured ...station.Measurement) station.StepResult {
	return station.StepResult{Outcome: station.OK, Measured: measured}
}

func skipped() station.StepResult { return station.StepResult{Outcome: station.Skipped} }

// fault is an error that no other try mends.
func fault(r *station.Reason) station.StepResult {
	return station.StepResult{Outcome: station.Error, Reason: r, Final: true}
}

// fail says that the unit did not do what it should.
func fail(code station.Code, format string, args ...any) station.StepResult {
	return station.StepResult{Outcome: station.Fail, Reason: station.NewReason(code, format, args...)}
}

// hold says that nobody's fault is proven and that another try cannot help.
func hold(code station.Code, format string, args ...any) station.StepResult {
	return fault(station.NewReason(code, format, args...))
}

// failed turns an error into a result; or names the reason where the error
// itself does not.
func failed(err error, or station.Code) station.StepResult {
	o, r, final := classify(err, or)
	return station.StepResult{Outcome: o, Reason: r, Final: final}
}

func number(name string, n int64) station.Measurement {
	return station.Measure(name, strconv.FormatInt(n, 10))
}

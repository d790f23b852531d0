package smdpsim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrPlan is the error of a fault plan that cannot be read.
var ErrPlan = errors.New("fault plan")

var points = []Point{InitiateAuthentication, AuthenticateClient, GetBoundProfilePackage, HandleNotification, CancelSession}

var faultKinds = []FaultKind{
	FaultReset, FaultServerError, FaultRefuse, FaultReplyLost, FaultServerErrorAfter, FaultSlow,
	FaultWrongSignature, FaultWrongTransactionID, FaultWrongMAC,
}

// planned is one entry of a fault plan.
type planned struct {
	point   Point
	attempt int // 0: every one
	fault   Fault
}

// ParseFaults reads a fault plan for [Config].Fault. Each entry is
//
//	POINT=KIND[:DETAIL][@ATTEMPT]
//
// with the name of an ES9+ function, a [FaultKind], a detail (the delay of
// slow, the HTTP status of the server errors, the code of refuse such as
// 8.1/4.8) and the attempt of an EID that it strikes: a number, * for every
// one, or nothing for the first. Where several entries match, the first one
// counts. The error joins all mistakes, each wrapping [ErrPlan].
func ParseFaults(entries []string) (func(FaultPoint) Fault, error) {
	var plan []planned
	var errs []error
	for _, e := range entries {
		p, err := parseFault(e)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %q: %w", ErrPlan, e, err))
		}
		plan = append(plan, p)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return func(at FaultPoint) Fault {
		for _, p := range plan {
			if p.point == at.Point && (p.attempt == 0 || p.attempt == at.Attempt) {
				return p.fault
			}
		}
		return Fault{}
	}, nil
}

func parseFault(entry string) (planned, error) {
	p := planned{attempt: 1}
	point, rest, ok := strings.Cut(entry, "=")
	if p.point = Point(point); !ok || !slices.Contains(points, p.point) {
		return p, fmt.Errorf("the function is one of %v", points)
	}
	rest, attempt, ok := strings.Cut(rest, "@")
	if ok {
		n, err := strconv.Atoi(attempt)
		if attempt == "*" {
			n, err = 0, nil
		} else if err == nil && n < 1 {
			err = errors.New("0")
		}
		if err != nil {
			return p, errors.New("the attempt is a number from 1 or *")
		}
		p.attempt = n
	}
	kind, detail, _ := strings.Cut(rest, ":")
	if p.fault.Kind = FaultKind(kind); !slices.Contains(faultKinds, p.fault.Kind) {
		return p, fmt.Errorf("the fault is one of %v", faultKinds)
	}
	return p, p.fault.detail(detail)
}

func (f *Fault) detail(s string) error {
	var err error
	switch f.Kind {
	case FaultSlow:
		if f.Delay, err = time.ParseDuration(s); err != nil || f.Delay <= 0 {
			return errors.New("slow needs a delay such as 3s")
		}
	case FaultServerError, FaultServerErrorAfter:
		if s == "" {
			return nil
		}
		if f.HTTP, err = strconv.Atoi(s); err != nil || f.HTTP < 500 || f.HTTP > 599 {
			return errors.New("the HTTP status is a number from 500 to 599")
		}
	case FaultRefuse:
		subject, reason, ok := strings.Cut(s, "/")
		if !ok || subject == "" || reason == "" {
			return errors.New("refuse needs subject and reason such as 8.1/4.8")
		}
		f.Status = &Status{Subject: subject, Reason: reason, Message: "refused on command"}
	default:
		if s != "" {
			return fmt.Errorf("%s has no detail", f.Kind)
		}
	}
	return nil
}

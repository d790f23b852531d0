package station

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
)

// Fact is one thing that happened, as it stands in the log: a struct of
// strings, integers and lists or structs of these.
type Fact interface {
	// FactType is the entry's type with its version, such as "run.started/1".
	FactType() string
}

// Gate is a fact that is waited for until it is durable.
type Gate interface {
	Fact
	gate()
}

// ErrUnknownFact is the error of a type that this version does not know.
var ErrUnknownFact = errors.New("unknown fact type")

// factTypes is the closed list. The order is that of docs/facts.md.
var factTypes = func() map[string]reflect.Type {
	list := []Fact{
		StationOpened{}, StationClosed{}, StationHalted{}, StationResumed{}, OperatorOn{}, OperatorOff{}, OperatorNamed{}, OperatorForgotten{},
		SlotFaulted{}, SlotCleared{}, SlotSwitched{}, ScanRefused{}, LotHalted{}, LotCleared{},
		RunStarted{}, RunResumed{}, StepEnded{}, StepsEnded{}, UnitIdentified{}, Intent{}, Result{},
		RunVerdict{}, UnitDisposed{}, RunAccepted{}, UnitAcknowledged{}, UnitLeft{}, Overridden{},
		StockBatch{}, StockImported{}, ProfileReserved{}, ProfileCommitted{}, ProfileReleased{}, ProfileQuarantined{}, ProfileSpent{}, StockErased{}, StockSecured{}, StockRefused{}, StockAlarm{}, StockAlarmEnded{}, StockLow{}, StockEnough{},
		NotificationKept{}, NotificationDelivered{}, NotificationMissed{},
		TicketOpened{}, TicketClaimed{}, TicketRepaired{}, TicketRetested{}, TicketClosed{},
		OutboxDelivered{}, OutboxRejected{}, OutboxReplayed{},
		EIMOnboarded{}, PairingImported{}, PairingListed{}, PairingFreed{},
		HandStarted{}, HandIntent{}, HandResult{}, HandEnded{},
	}
	m := make(map[string]reflect.Type, len(list))
	for _, f := range list {
		m[f.FactType()] = reflect.TypeOf(f)
	}
	return m
}()

// TypesOf is the set of the facts' types.
func TypesOf(facts ...Fact) map[string]bool {
	m := make(map[string]bool, len(facts))
	for _, f := range facts {
		m[f.FactType()] = true
	}
	return m
}

// FactTypes lists the names of all fact types, sorted.
func FactTypes() []string {
	names := make([]string, 0, len(factTypes))
	for n := range factTypes {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Encode gives a fact's type and its bytes: fields in declared order, no HTML
// escaping.
func Encode(f Fact) (string, json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return "", nil, fmt.Errorf("fact %s: %w", f.FactType(), err)
	}
	return f.FactType(), bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Decode reads a fact back. Unknown fields are an error: a published type
// never changes.
func Decode(name string, data json.RawMessage) (Fact, error) {
	t, ok := factTypes[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownFact, name)
	}
	v := reflect.New(t)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v.Interface()); err != nil {
		return nil, fmt.Errorf("fact %s: %w", name, err)
	}
	return v.Elem().Interface().(Fact), nil
}

package plant

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"time"

	"github.com/rs/zerolog"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/modem"
	"linefit/modem/rsp"
	"linefit/rework"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/eim"
	"linefit/station/engine"
	"linefit/station/fixture"
	"linefit/station/mes"
	"linefit/station/notify"
	"linefit/station/pairing"
	"linefit/station/people"
	"linefit/station/report"
	"linefit/station/steps"
	"linefit/station/stock"
)

// Plan says of what a station is made; demo, serve, run and the tests fill it
// differently and get the same station.
type Plan struct {
	Place station.StationOpened
	Dir   string // the store
	Key   audit.Key
	// ShardKey gives the keys of later shards of the log; nil: it has one shard.
	ShardKey func(shard uint32, origin string) (audit.Key, error)
	Anchors  [][]byte // checkpoints of this log that others hold
	// AnchorWithin is how long the MES may take to give the checkpoint that it
	// keeps, before the log is opened; 0: it is asked while the station runs.
	AnchorWithin time.Duration
	// Unclean takes a log that did not open clean: it is shown and nothing runs
	// until two people have accepted it. Otherwise that is an [*UncleanError].
	Unclean bool
	Reserve uint64 // bytes of disk below which nothing is appended
	Care    Care   // of the log
	// Witnesses cosign the log's checkpoints while the station runs; nil: none do.
	Witnesses *Witnesses
	Vault     stock.KeySource
	Shares    stock.ShareRule     // which split lists of codes are taken
	Issuers   []*x509.Certificate // whose SM-DP+ may prepare packages
	Keep      time.Duration       // codes stay so long after their profile was used up; 0: for ever
	Low       stock.LowRule       // when it is announced that profiles run out
	FromMES   bool                // codes come with the MES's route checks and from nowhere else
	Recipe    *station.Recipe
	Policy    *rework.Policy
	Units     admission.Units                // the list of expected units
	EIMs      map[string][]eim.Configuration // that orders may name
	Carried   steps.Carried                  // packages of eIMs that orders brought; nil: none
	Slots     map[int]Slot
	Faults    map[int]*station.Reason // slots that did not come up
	Quirks    *modem.Table
	RSP       *rsp.Client
	Offline   bool   // no server can be reached: notifications stay in the vault, nobody tries to deliver them
	SMDP      string // address in place of the codes' own
	Trust     steps.Trust
	MES       mes.ClientOptions
	Late      mes.Late
	Answer    time.Duration // the MES answers a result within
	Anchored  func(note []byte)
	Assign    engine.Assign
	Within    time.Duration // a scan is assigned within
	Grace     time.Duration // a run may end within, after the station was told to stop
	Notify    Notify
	Observer  engine.Observer
	Logger    zerolog.Logger
}

// Slot is what stands at one place of the station.
type Slot struct {
	Fixture fixture.Fixture
	Port    steps.Opener
}

// Notify says how eUICC notifications are delivered.
type Notify struct {
	Timeout  time.Duration   // of one delivery
	Backoff  []time.Duration // between tries; the last one repeats
	Parallel int             // deliveries at a time
}

// CloseSlots gives the fixtures back; every supply is off then.
func (p Plan) CloseSlots() error {
	var errs []error
	for _, s := range p.Slots {
		errs = append(errs, s.Fixture.Close())
	}
	return errors.Join(errs...)
}

// SerialPort opens a real or virtual terminal by path, at a speed in baud; 0 is
// unpaced.
func SerialPort(path string, baud int) steps.Opener {
	return func(context.Context) (io.ReadWriteCloser, error) {
		return modem.OpenSerial(path, modem.SerialOptions{Baud: baud})
	}
}

// Projections are derived from the log, in this order.
func Projections() []audit.Projection {
	return []audit.Projection{
		engine.OpenRuns{}, stock.Projection{}, rework.Projection{}, mes.OutboxProjection{}, notify.Projection{}, admission.LotProjection{}, admission.StopProjection{},
		pairing.Projection{}, people.Projection{}, HandProjection{},
		audit.Names{}, report.RunIndex(),
	}
}

// finished are the entries behind which a checkpoint is published at once.
var finished = map[string]bool{station.UnitDisposed{}.FactType(): true, station.TicketClosed{}.FactType(): true}

// shardAge is the time after which the log goes on in its next shard.
const shardAge = 365 * 24 * time.Hour

// KnownFact refuses entries of types that nobody could read back.
func KnownFact() func(string) bool {
	known := map[string]bool{}
	for _, name := range station.FactTypes() {
		known[name] = true
	}
	return func(name string) bool { return known[name] }
}

// StoreOptions are those of the plan's log.
func (p Plan) StoreOptions() store.Options {
	return store.Options{
		Dir: p.Dir, Key: p.Key, Sim: p.Place.Simulated != "", Projections: Projections(), Anchors: p.Anchors, Types: KnownFact(), Reserve: p.Reserve,
		ShardKey: p.ShardKey, ShardAge: shardAge, PublishAfter: func(entryType string) bool { return finished[entryType] },
	}
}

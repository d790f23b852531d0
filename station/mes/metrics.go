package mes

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"linefit/audit"
	"linefit/station"
	"linefit/station/stock"
)

// metrics tells a monitoring system what a screen tells a person. All values
// but the request counter are read from the station's view when they are asked
// for.
type metrics struct {
	s        *Server
	registry *prometheus.Registry
	requests *prometheus.CounterVec

	slots, health, entries, units, runs, tickets, profiles, released, pending, delivered, parked, link, simulated, alarms, low, left, notices, missed, refused, cosigned, uncosigned, forked *prometheus.Desc
}

func newMetrics(s *Server, registry *prometheus.Registry) (*metrics, error) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("linefit_"+name, help, labels, nil)
	}
	m := &metrics{
		s: s, registry: registry,
		requests:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "linefit_http_requests_total", Help: "Requests to the station's API."}, []string{"method", "status"}),
		slots:      desc("slots", "Slots by state.", "state"),
		health:     desc("health", "1 for the station's health, 0 for the others.", "health"),
		entries:    desc("log_entries_total", "Entries in the audit log."),
		units:      desc("units", "Units by what became of them last.", "result"),
		runs:       desc("runs_total", "Runs in the log."),
		tickets:    desc("rework_tickets_open", "Open rework tickets."),
		profiles:   desc("profiles", "Profiles in stock by state.", "state"),
		released:   desc("profiles_released_total", "Reservations that were given back."),
		alarms:     desc("stock_alarms_open", "Codes of this station that somebody else has used, or that were handed out twice."),
		low:        desc("profiles_low", "Kinds of profiles of which few are left."),
		left:       desc("profiles_left", "Profiles that are left for any eUICC, by kind.", "customer", "sku", "operator", "region"),
		pending:    desc("mes_events_pending", "Events that the MES has not taken yet."),
		delivered:  desc("mes_events_delivered_total", "Events that the MES has taken."),
		parked:     desc("mes_events_parked", "Events that the MES has refused for good and nobody has sent again."),
		link:       desc("mes_up", "1 while the MES answers."),
		notices:    desc("notifications_pending", "eUICCs' notifications that their servers have not taken yet."),
		missed:     desc("notifications_missed_total", "Notifications that eUICCs have lost before anybody saw them."),
		refused:    desc("notifications_tries", "Tries in vain at the recipient for which notifications wait.", "recipient"),
		cosigned:   desc("log_cosigned_entries", "Entries under the checkpoint that the witness has cosigned last, of the shard that was the newest then.", "witness"),
		uncosigned: desc("witness_tries", "Pushes in vain to the witness since it has cosigned last.", "witness"),
		forked:     desc("witness_fork", "1 while the witness says that it has seen another history of the log.", "witness"),
		simulated:  desc("simulated", "1 on a simulated station."),
	}
	for _, c := range []prometheus.Collector{m, m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("mes: metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.slots, m.health, m.entries, m.units, m.runs, m.tickets, m.profiles, m.released, m.pending, m.delivered, m.parked, m.link, m.simulated, m.alarms, m.low, m.left, m.notices, m.missed, m.refused, m.cosigned, m.uncosigned, m.forked} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	v := m.s.View()
	states := map[station.SlotState]int{}
	for _, s := range v.Slots {
		states[s.State]++
	}
	for _, s := range []station.SlotState{station.SlotEmpty, station.SlotArmed, station.SlotRunning, station.SlotDone, station.SlotFault, station.SlotDisabled, station.SlotHand} {
		gauge(m.slots, states[s], string(s))
	}
	for _, h := range []station.Health{station.HealthOK, station.HealthStopped, station.HealthReadOnly, station.HealthHalted, station.HealthStopping, station.HealthEmergency} {
		gauge(m.health, oneIf(v.Health == h), string(h))
	}
	counter(m.entries, int(v.Head))
	for result, n := range map[string]int{"passed": v.Counts.Passed, "failed": v.Counts.Failed, "held": v.Counts.Held, "scrapped": v.Counts.Scrapped} {
		gauge(m.units, n, result)
	}
	counter(m.runs, v.Counts.Runs)
	gauge(m.tickets, v.Counts.Tickets)
	for s, n := range map[station.StockState]int{
		station.StockAvailable: v.Stock.Available, station.StockReserved: v.Stock.Reserved, station.StockInstalled: v.Stock.Installed,
		station.StockQuarantined: v.Stock.Quarantined, station.StockSpent: v.Stock.Spent,
	} {
		gauge(m.profiles, n, string(s))
	}
	counter(m.released, v.Stock.Released)
	gauge(m.alarms, v.Stock.Alarms)
	gauge(m.low, v.Stock.Low)
	for _, l := range m.levels() {
		gauge(m.left, l.Left, l.Customer, l.SKU, l.Operator, l.Region)
	}
	gauge(m.simulated, oneIf(v.Simulated))
	gauge(m.notices, v.Notifications.Pending)
	counter(m.missed, v.Notifications.Missed)
	for _, r := range v.Notifications.Recipients {
		gauge(m.refused, r.Tries, r.Address)
	}
	for _, w := range v.Witnesses {
		gauge(m.cosigned, int(w.Size), w.Name)
		gauge(m.uncosigned, w.Tries, w.Name)
		gauge(m.forked, oneIf(w.Fork), w.Name)
	}
	m.collectOutbox(gauge, counter)
}

// levels are what is left of each kind of profile; none where the log is closed.
func (m *metrics) levels() (levels []stock.Level) {
	if m.s.opt.Stock == nil {
		return nil
	}
	err := m.s.opt.Log.View(func(v audit.View) (err error) {
		levels, err = stock.Levels(v, time.Now())
		return err
	})
	if err != nil {
		return nil
	}
	return levels
}

func (m *metrics) collectOutbox(gauge, counter func(*prometheus.Desc, int, ...string)) {
	s, err := m.s.opt.Outbox.Status()
	if err != nil {
		return // the log is closed: better no value than a wrong one
	}
	gauge(m.pending, s.Pending)
	counter(m.delivered, s.Delivered)
	gauge(m.parked, s.Rejected)
	gauge(m.link, oneIf(s.Link == LinkOK))
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// count counts requests by method and status.
func (m *metrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		defer func() { m.requests.WithLabelValues(methodLabel(r.Method), strconv.Itoa(rec.status)).Inc() }()
		next.ServeHTTP(rec, r)
	})
}

// methodLabel bounds the label's values: the method is the client's text.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions:
		return method
	}
	return "other"
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

package mes

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"linefit/station"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// streamEvery is the least time between two snapshots on a stream, streamBeat
// the longest between two signs of life, streamWrite what one write may take.
const (
	streamEvery = 100 * time.Millisecond
	streamBeat  = 5 * time.Second
	streamWrite = 10 * time.Second
)

// streamRoute serves snapshots of the station as server-sent events: one at
// once, one after each change, and a comment where nothing changes.
func (s *Server) streamRoute(api huma.API) {
	op := look("stream", "/v1/stream", "station", "Snapshots of the station as server-sent events, one after each change")
	op.Responses = map[string]*huma.Response{"200": {Description: "Events of the name view", Content: map[string]*huma.MediaType{
		"text/event-stream": {Schema: api.OpenAPI().Components.Schemas.Schema(typeOf[station.View](), true, "View")},
	}}}
	huma.Register(api, op, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		select {
		case s.streams <- struct{}{}:
		default:
			return nil, &Problem{Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable, Detail: "64 screens follow the station already"}
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			defer func() { <-s.streams }()
			_, w := humago.Unwrap(ctx)
			ctx.SetHeader("Content-Type", "text/event-stream")
			ctx.SetStatus(http.StatusOK)
			_ = s.stream(ctx.Context(), w) // a reader that is gone connects again
		}}, nil
	})
}

// stream writes snapshots until ctx is done or the reader is gone.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	beat := time.NewTimer(streamBeat)
	defer beat.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		stationChanged, logChanged, linkChanged := s.opt.Station.Changed(), s.opt.Log.Changed(), s.opt.Outbox.opt.Client.Changed()
		body, err := marshal(s.View())
		if err != nil {
			return err
		}
		if err := send(w, control, "event: view\ndata: "+string(body)+"\n\n"); err != nil {
			return err
		}
		pause.Reset(streamEvery)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
		beat.Reset(streamBeat)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return nil
			case <-stationChanged:
				waiting = false
			case <-logChanged:
				waiting = false
			case <-linkChanged:
				waiting = false
			case <-beat.C:
				if err := send(w, control, ": alive\n\n"); err != nil {
					return err
				}
				beat.Reset(streamBeat)
			}
		}
	}
}

func send(w http.ResponseWriter, control *http.ResponseController, s string) error {
	_ = control.SetWriteDeadline(time.Now().Add(streamWrite)) // not every writer has one
	if _, err := io.WriteString(w, s); err != nil {
		return err
	}
	return control.Flush()
}

package client

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Get reads a part of the API that has no method of its own here into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// Post changes something through a part of the API that has no method of its
// own here. The error is as for [Client.Do].
func (c *Client) Post(ctx context.Context, path string, body, out any) error {
	return c.call(ctx, http.MethodPost, path, body, out)
}

// downloadTimeout bounds a download whose context has no deadline.
const downloadTimeout = 30 * time.Minute

// Download writes what a path answers to w as it comes, however long it is. What
// was written before an error is not the whole.
func (c *Client) Download(ctx context.Context, path string, w io.Writer) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, downloadTimeout)
		defer cancel()
	}
	req, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return unreachable(err)
		}
		return refusal(resp.StatusCode, data)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return unreachable(err)
	}
	return nil
}

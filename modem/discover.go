package modem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Root is where the kernel's files are: "/" on a station, a directory with
// "sys/class/tty" and "dev" in tests.
type Root string

// PortInfo is one serial port as sysfs describes it. Nothing is opened to find
// it. The tty name is volatile: it may change whenever a module restarts. The
// Key belongs to the socket: it is made of the host controller, the path of
// hubs and sockets, and the interface number.
type PortInfo struct {
	Name      string // "ttyUSB2"
	Path      string // "/dev/ttyUSB2"
	Key       string // "0000:00:14.0-usb-1.4:2", "platform-serial8250:ttyS0"; stable over restarts of module and station
	USBPath   string // "1-1.4": bus, then ports; "" if the port is not on USB
	Interface int    // bInterfaceNumber; -1 if the port is not on USB
	VendorID  string // "2c7c"
	ProductID string // "0125"
	Serial    string // of the USB device, often empty or the same on all
	Driver    string // "option", "cdc_acm"
}

// Discover lists the serial ports, sorted by key. Ports of the PC's UART driver
// that have no hardware are left out.
func (r Root) Discover() ([]PortInfo, error) {
	class := r.join("sys/class/tty")
	names, err := os.ReadDir(class)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("discover serial ports: %w", err)
	}
	var out []PortInfo
	for _, n := range names {
		if p, ok := r.describe(n.Name()); ok {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b PortInfo) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

func (r Root) join(elem ...string) string {
	root := string(r)
	if root == "" {
		root = "/"
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

// describe reads one entry of the tty class. A port may vanish meanwhile; it is
// then no port.
func (r Root) describe(name string) (PortInfo, bool) {
	dir := r.join("sys/class/tty", name)
	device, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
	if err != nil {
		return PortInfo{}, false // virtual consoles and ptys have no device
	}
	if kind, ok := attr(dir, "type"); ok && kind == "0" {
		return PortInfo{}, false // PORT_UNKNOWN: a UART that is not there
	}
	p := PortInfo{Name: name, Path: "/dev/" + name, Interface: -1, Driver: base(device, "driver")}
	iface, ok := r.climb(device, "bInterfaceNumber")
	if !ok {
		p.Key = base(device, "subsystem") + "-" + filepath.Base(device) + ":" + name
		return p, true
	}
	number, _ := attr(iface, "bInterfaceNumber")
	n, err := strconv.ParseUint(number, 16, 8)
	usb, found := r.climb(iface, "idVendor")
	if err != nil || !found {
		return PortInfo{}, false
	}
	p.Interface = int(n)
	p.USBPath = filepath.Base(usb)
	p.VendorID, _ = attr(usb, "idVendor")
	p.ProductID, _ = attr(usb, "idProduct")
	p.Serial, _ = attr(usb, "serial")
	if d := base(iface, "driver"); d != "" {
		p.Driver = d
	}
	p.Key = r.usbKey(usb, p)
	return p, true
}

// usbNode matches a root hub or a device behind it.
var usbNode = regexp.MustCompile(`^(usb[0-9]+|[0-9]+-[0-9.]+)$`)

// usbKey leaves the bus number out, which depends on the order in which host
// controllers were found, and names the controller instead.
func (r Root) usbKey(usb string, p PortInfo) string {
	_, ports, _ := strings.Cut(p.USBPath, "-")
	host := usb
	for usbNode.MatchString(filepath.Base(host)) {
		host = filepath.Dir(host)
	}
	return fmt.Sprintf("%s-usb-%s:%d", filepath.Base(host), ports, p.Interface)
}

// climb finds the nearest directory at or above dir that has the file.
func (r Root) climb(dir, file string) (string, bool) {
	top, err := filepath.EvalSymlinks(r.join("sys"))
	if err != nil {
		top = r.join("sys")
	}
	for strings.HasPrefix(dir, top) && dir != top {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return dir, true
		}
		dir = filepath.Dir(dir)
	}
	return "", false
}

func attr(dir, name string) (string, bool) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(b)), err == nil
}

// base is the name that a link of sysfs points to.
func base(dir, link string) string {
	target, err := os.Readlink(filepath.Join(dir, link))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// Find resolves what a configuration calls a port, to a port that is there now:
//
//   - a path ("/dev/ttyUSB2", "/dev/serial/by-path/...", "/dev/pts/7"); links
//     are followed, and a path that sysfs does not list is taken as it is;
//   - a key of [PortInfo];
//   - a USB path and interface number, as "1-1.4:2".
//
// The error matches [ErrMissing] where nothing fits.
func (r Root) Find(name string) (PortInfo, error) {
	missing := func(err error) error {
		return &PortError{Path: name, Op: "find", Err: errors.Join(ErrMissing, err)}
	}
	ports, err := r.Discover()
	if err != nil {
		return PortInfo{}, err
	}
	if strings.HasPrefix(name, "/") {
		real, err := filepath.EvalSymlinks(r.join(name))
		if err != nil {
			return PortInfo{}, missing(err)
		}
		for _, p := range ports {
			if filepath.Base(real) == p.Name && filepath.Base(filepath.Dir(real)) == "dev" {
				return p, nil
			}
		}
		return PortInfo{Name: filepath.Base(real), Path: name, Key: name, Interface: -1}, nil
	}
	for _, p := range ports {
		if name == p.Key || p.USBPath != "" && name == fmt.Sprintf("%s:%d", p.USBPath, p.Interface) {
			return p, nil
		}
	}
	return PortInfo{}, missing(nil)
}

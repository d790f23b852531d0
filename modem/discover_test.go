package modem_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"linefit/modem"
)

// sysfs builds a tree as the kernel shows it: a four-port Quectel on hub port
// 1-1.4, a cdc_acm module on 3-2, an on-board UART, an absent UART, a console.
func sysfs(t *testing.T) modem.Root {
	t.Helper()
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, path string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	const pci = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4"
	write(pci+"/idVendor", "2c7c\n")
	write(pci+"/idProduct", "0125\n")
	for i, name := range []string{"ttyUSB0", "ttyUSB1", "ttyUSB2", "ttyUSB3"} {
		iface := pci + "/1-1.4:1." + string(rune('0'+i))
		write(iface+"/bInterfaceNumber", "0"+string(rune('0'+i))+"\n")
		link("../../../../../../../../bus/usb/drivers/option", iface+"/driver")
		write(iface+"/"+name+"/tty/"+name+"/dev", "188:0\n")
		link("../../../"+name, iface+"/"+name+"/tty/"+name+"/device")
		link("../../devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4/1-1.4:1."+string(rune('0'+i))+"/"+name+"/tty/"+name, "sys/class/tty/"+name)
		write("dev/"+name, "")
	}
	const acm = "sys/devices/platform/soc/fe980000.usb/usb3/3-2"
	write(acm+"/idVendor", "1546\n")
	write(acm+"/idProduct", "1102\n")
	write(acm+"/serial", "0123\n")
	write(acm+"/3-2:1.0/bInterfaceNumber", "0a\n")
	link("../../../..", acm+"/3-2:1.0/tty/ttyACM0/device0")
	write(acm+"/3-2:1.0/tty/ttyACM0/dev", "166:0\n")
	link("../../../3-2:1.0", acm+"/3-2:1.0/tty/ttyACM0/device")
	link("../../devices/platform/soc/fe980000.usb/usb3/3-2/3-2:1.0/tty/ttyACM0", "sys/class/tty/ttyACM0")
	for name, kind := range map[string]string{"ttyS0": "4\n", "ttyS1": "0\n"} {
		dir := "sys/devices/platform/serial8250/tty/" + name
		write(dir+"/type", kind)
		link("../../../serial8250", dir+"/device")
		link("../../devices/platform/serial8250/tty/"+name, "sys/class/tty/"+name)
	}
	link("../../../bus/platform", "sys/devices/platform/serial8250/subsystem")
	write("sys/devices/virtual/tty/tty1/dev", "4:1\n")
	link("../../devices/virtual/tty/tty1", "sys/class/tty/tty1")
	link("../../ttyUSB2", "dev/serial/by-path/pci-0000:00:14.0-usb-0:1.4:1.2-port0")
	return modem.Root(root)
}

func TestDiscover(t *testing.T) {
	root := sysfs(t)
	ports, err := root.Discover()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	byName := map[string]modem.PortInfo{}
	for _, p := range ports {
		keys = append(keys, p.Key)
		byName[p.Name] = p
	}
	if len(ports) != 6 {
		t.Fatalf("%q", keys)
	}
	want := modem.PortInfo{
		Name: "ttyUSB2", Path: "/dev/ttyUSB2", Key: "0000:00:14.0-usb-1.4:2", USBPath: "1-1.4", Interface: 2,
		VendorID: "2c7c", ProductID: "0125", Driver: "option",
	}
	if byName["ttyUSB2"] != want {
		t.Errorf("%+v", byName["ttyUSB2"])
	}
	want = modem.PortInfo{
		Name: "ttyACM0", Path: "/dev/ttyACM0", Key: "fe980000.usb-usb-2:10", USBPath: "3-2", Interface: 10,
		VendorID: "1546", ProductID: "1102", Serial: "0123",
	}
	if byName["ttyACM0"] != want {
		t.Errorf("%+v", byName["ttyACM0"])
	}
	if p := byName["ttyS0"]; p.Key != "platform-serial8250:ttyS0" || p.Interface != -1 {
		t.Errorf("%+v", p)
	}
}

func TestFind(t *testing.T) {
	root := sysfs(t)
	for name, want := range map[string]string{
		"/dev/ttyUSB2": "ttyUSB2", "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.4:1.2-port0": "ttyUSB2",
		"0000:00:14.0-usb-1.4:3": "ttyUSB3", "1-1.4:0": "ttyUSB0", "platform-serial8250:ttyS0": "ttyS0",
	} {
		if p, err := root.Find(name); err != nil || p.Name != want {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for _, name := range []string{"/dev/ttyUSB9", "1-1.4:7", "", "ttyUSB2"} {
		var port *modem.PortError
		if _, err := root.Find(name); !errors.Is(err, modem.ErrMissing) || !errors.As(err, &port) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if ports, err := modem.Root(t.TempDir()).Discover(); err != nil || len(ports) != 0 {
		t.Errorf("a system without sysfs: %v, %v", ports, err)
	}
}

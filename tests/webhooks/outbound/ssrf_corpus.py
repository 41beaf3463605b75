"""Addresses and URLs that must never be reached, in every spelling that a resolver or parser may accept."""

FORBIDDEN_ADDRESSES = [
    # IPv4, by range: first, inside, last
    "0.0.0.0", "0.0.0.1", "0.255.255.255", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "100.127.255.255", "127.0.0.1", "127.1.2.3", "127.255.255.255", "168.63.129.16", "169.254.0.1",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7",
    "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "254.254.254.254", "255.255.255.255",
    # IPv6
    "::", "::1", "::2", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::1",
    "64:ff9b:1::a9fe:a9fe", "100::1", "100:0:0:1::1", "2001::1", "2001:0:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::1", "2002:c0a8:101::", "3fff::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fdff::1", "fe80::1", "febf::1", "fec0::1", "fe80::1%eth0", "2606:4700::1%1", "ff02::1",
    "ff0e::1", "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1", "4000::1", "8000::1",
]  # fmt: skip

PUBLIC_ADDRESSES = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1",
    "192.167.255.255", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::1",
]  # fmt: skip

_LITERAL_HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1",
    "0177.0.0.1", "017700000001", "0x7F000001", "00000177.0.0.1", "127.0.0.1.", "3232235521", "192.168.0.1",
    "169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "10.0.0.1", "1.1.1.1", "8.8.8.8",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25eth0]",
    "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[2606:4700:4700::1111]", "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1",
    "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "example.0x7f", "example.1",
]  # fmt: skip

_LOCAL_NAMES = [
    "localhost", "LOCALHOST", "localhost.", "foo.localhost", "localhost.localdomain", "metadata",
    "metadata.google.internal", "METADATA.GOOGLE.INTERNAL.", "instance-data.ec2.internal", "kubernetes.default.svc.local",
    "printer.local", "gateway", "db", "router.lan", "host.docker.internal", "nas.home.arpa", "x.onion", "intranet.intranet",
]  # fmt: skip

_NO_NAMES = [
    "", ".", "..", "a..b", "-a.example", "a-.example", "exa mple.com", "example.com%00.evil.com", "exam%70le.com",
    "a" * 64 + ".com", ".".join(["a" * 60] * 5) + ".com", "example.com%0d%0aHost:x", "exa$mple.com", "*.example.com",
]  # fmt: skip

_OTHER_URLS = [
    "http://example.com/", "http://example.com:443/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/",
    "unix:/var/run/docker.sock", "unix:///var/run/docker.sock", "data:text/plain,x", "javascript:alert(1)", "ws://example.com/",
    "//example.com/", "example.com", "/etc/passwd", "https:example.com", "https:/example.com", "https:///example.com", "",
    "https://user@example.com/", "https://user:pw@example.com/", "https://:pw@example.com/", "https://@example.com/",
    "https://example.com@127.0.0.1/", "https://127.0.0.1@example.com/", "https://example.com:443@10.0.0.1/",
    "https://127.0.0.1\\@example.com/", "https://example.com\\@127.0.0.1/", "https:\\\\example.com/",
    "https://example.com:22/", "https://example.com:25/", "https://example.com:80/", "https://example.com:6379/",
    "https://example.com:8080/", "https://example.com:0/", "https://example.com:99999/", "https://example.com:-1/",
    "https://example.com:44３/", "https://example.com/#fragment", "https://example.com/\r\nX-Evil: 1",
    "https://example.com/\nX", "https://example.com/ x", " https://example.com/", "https://example.com/\t", "https://example.com/\0",
    "https://exam\u00a0ple.com/", "https://" + "a" * 2100 + ".com/", "HTTPS://127.0.0.1/", "https://[::1/", "https://[x]/",
]  # fmt: skip

FORBIDDEN_URLS = [
    *(f"https://{host}/hook" for host in _LITERAL_HOSTS),
    *(f"https://{host}:8443/hook" for host in _LITERAL_HOSTS[:12]),
    *(f"https://{host}/hook" for host in _LOCAL_NAMES),
    *(f"https://{host}/hook" for host in _NO_NAMES),
    *_OTHER_URLS,
]

ALLOWED_URLS = {
    "https://example.com/hook": "https://example.com/hook",
    "https://EXAMPLE.com./hook?a=b&c=%20d": "https://example.com/hook?a=b&c=%20d",
    "https://hooks.example.com:8443/": "https://hooks.example.com:8443/",
    "https://bücher.example/x": "https://xn--bcher-kva.example/x",
    "https://my_service.example.com/": "https://my_service.example.com/",
    "https://1.example.com/": "https://1.example.com/",
}

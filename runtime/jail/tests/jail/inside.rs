//! What this binary does when it is the program inside.

use std::io::Read;
use std::net::{TcpStream, UdpSocket};

pub(crate) fn act(words: &[String]) {
    match words[0].as_str() {
        "descriptors" => {
            let mut open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
                .expect("descriptors")
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .collect();
            open.sort_unstable();
            // The last one is the directory that is being read.
            open.pop();
            println!("{open:?}");
        }
        "connect" => println!("{}", answer(TcpStream::connect(&words[1]))),
        "ask" => {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            socket.send_to(b"question", &words[1]).expect("sent");
            let mut space = [0; 64];
            let (length, from) = socket.recv_from(&mut space).expect("an answer");
            println!("{} from {from}", String::from_utf8_lossy(&space[..length]));
        }
        "sockets" => {
            let unix = std::os::unix::net::UnixStream::connect(&words[1]).map(drop);
            let tcp = TcpStream::connect("127.0.0.1:80").map(drop);
            let pair = std::os::unix::net::UnixStream::pair().map(drop);
            println!("{:?} {:?} {:?}", number(&unix), number(&tcp), number(&pair));
        }
        "eat" => {
            let bytes: usize = words[1].parse().expect("a number");
            let eaten = vec![1_u8; bytes];
            std::thread::sleep(std::time::Duration::from_secs(5));
            println!("{}", eaten[bytes / 2]);
        }
        other => panic!("{other} is nothing that can be done"),
    }
}

fn answer(stream: std::io::Result<TcpStream>) -> String {
    let mut text = String::new();
    match stream.and_then(|mut stream| stream.read_to_string(&mut text)) {
        Ok(_) => text,
        Err(error) => format!("{error}"),
    }
}

fn number<T>(result: &std::io::Result<T>) -> Option<i32> {
    result.as_ref().err().and_then(std::io::Error::raw_os_error)
}

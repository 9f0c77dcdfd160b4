//! A real Envoy, and hosts that no service has: refused under `registryOnly`, reached under `allowAny` by plain HTTP and
//! through a CONNECT tunnel, never in circles; and the change from one to the other, which drains no listener.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port,
    http::{self, Answer, Connection},
    services::Instance,
};

const NODE: [&str; 4] = ["--node", "checkout-1", "--service", "checkout"];

fn services(orders: &Instance) -> String {
    format!(
        "services:\n  - name: orders\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    \
         endpoints: [ {{ address: 127.0.0.1, ports: {{ http: {} }} }} ]\n",
        orders.port
    )
}

fn mesh(outbound: u16, traffic: &str) -> String {
    format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: Mesh\nmetadata: {{ name: mesh }}\n\
         spec: {{ outbound: {{ port: {outbound} }}, outboundTraffic: {traffic} }}\n"
    )
}

async fn get(envoy: &Envoy, host: &str) -> Answer {
    http::through_proxy(&envoy.proxy(), &format!("http://{host}/")).await.unwrap()
}

/// What a tunnel to a host answers to a request for `/`, or the status of the CONNECT that was refused.
async fn tunnelled(envoy: &Envoy, host: &str) -> Result<Answer, u16> {
    let mut connection = Connection::open(&envoy.proxy()).await.unwrap();
    match connection.connect(host).await.unwrap() {
        200 => Ok(connection.get("/", host, "").await.unwrap()),
        status => Err(status),
    }
}

#[tokio::test]
async fn a_host_outside_is_refused_or_reached_as_the_mesh_says() {
    let (orders, outside) = (Instance::start("orders").await, Instance::start("outside").await);
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let outbound = free_port();
        let plane = ControlPlane::start(&services(&orders), "", outbound).await;
        let envoy = Envoy::start(&plane, dialect, outbound, &NODE).await;
        let by_name = format!("localhost:{}", outside.port);
        let by_address = format!("127.0.0.1:{}", outside.port);
        eventually("the sidecar knows orders", async || (get(&envoy, "orders").await.status == 200).then_some(()))
            .await;
        for host in [&by_name, &by_address] {
            assert_eq!(get(&envoy, host).await.status, 404, "{dialect:?}");
            assert_eq!(tunnelled(&envoy, host).await, Err(404), "{dialect:?}");
        }
        let updates = envoy.stat("listener_manager.lds.update_success").await;

        plane.write("policies/mesh.yaml", &mesh(outbound, "allowAny"));
        eventually("hosts outside are reached", async || (get(&envoy, &by_name).await.status == 200).then_some(()))
            .await;
        for host in [&by_name, &by_address] {
            let answer = get(&envoy, host).await;
            assert_eq!((answer.status, answer.body.contains("outside")), (200, true), "{answer:?}");
            let answer = tunnelled(&envoy, host).await.unwrap();
            assert_eq!((answer.status, answer.body.contains("outside")), (200, true), "{answer:?}");
        }
        assert!(get(&envoy, "orders").await.body.contains("orders"), "a service is still a service");
        assert!(tunnelled(&envoy, "orders:80").await.unwrap().body.contains("orders"));
        let own = [format!("localhost:{outbound}"), format!("127.0.0.1:{outbound}"), format!("127.0.0.9:0{outbound}")];
        for host in &own {
            assert_eq!(get(&envoy, host).await.status, 508, "{host}");
            assert_eq!(tunnelled(&envoy, host).await, Err(508), "{host}");
        }
        // What the sidecar marked as it passed it on to its own port, and has come back.
        let mut connection = Connection::open(&envoy.proxy()).await.unwrap();
        let elsewhere = format!("this-machine.test:{outbound}");
        let back = connection.get("/", &elsewhere, "x-chancery-passed-on: 1\r\n").await.unwrap();
        assert_eq!(back.status, 508);
        let mut connection = Connection::open(&envoy.proxy()).await.unwrap();
        let plain = connection.get(&format!("https://{by_name}/"), &by_name, "").await.unwrap();
        assert_eq!(plain.status, 400, "https is not passed on in plain text");

        plane.write("policies/mesh.yaml", &mesh(outbound, "registryOnly"));
        eventually("hosts outside are refused again", async || {
            (get(&envoy, &by_name).await.status == 404 && envoy.stat("cluster_manager.cluster_removed").await > 0)
                .then_some(())
        })
        .await;
        assert_eq!(envoy.stat("listener_manager.listener_modified").await, 0);
        assert_eq!(envoy.stat("listener_manager.lds.update_success").await, updates, "no listener was sent");
    }
}

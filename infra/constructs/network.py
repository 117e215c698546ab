"""The network of the runners: two zones, ways out, no way in."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import Stage

_ADDRESSES = "10.78.0.0/16"


class Network(Construct):
    """A VPC over two zones, whichever the account has: nothing is looked up, so that it synthesises anywhere.

    With the egress ``public`` each task has a public address of its own and reaches the internet by it. With ``nat``
    tasks are in private subnets, and all leave by one fixed address, which others can put on their lists; the one
    gateway stands in one zone, and while that zone is down nobody gets out.

    Attributes:
        vpc: the VPC.
        subnets: where tasks belong.
        runners: the runners' security group: out to HTTPS servers, in from nobody.
        tasks_have_addresses: whether each task needs a public address.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self.tasks_have_addresses = stage.egress == "public"
        self.vpc = self._make_public() if self.tasks_have_addresses else self._make_private()
        self.subnets = ec2.SubnetSelection(
            subnet_type=ec2.SubnetType.PUBLIC if self.tasks_have_addresses else ec2.SubnetType.PRIVATE_WITH_EGRESS
        )
        # Free of charge, and the vault's and the tables' traffic then costs nothing on its way, NAT gateway or not.
        for service in (ec2.GatewayVpcEndpointAwsService.S3, ec2.GatewayVpcEndpointAwsService.DYNAMODB):
            self.vpc.add_gateway_endpoint(service.name.rpartition(".")[2], service=service, subnets=[self.subnets])
        self._log_what_is_refused()
        self.runners = ec2.SecurityGroup(
            self,
            "Runners",
            vpc=self.vpc,
            description="Session runners: out by HTTPS, in from nobody",
            allow_all_outbound=False,
        )
        self.runners.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "WhatsApp and AWS")

    def _make_public(self) -> ec2.Vpc:
        return self._make_vpc(nat_gateways=0, subnet_configuration=[self._public()])

    def _make_private(self) -> ec2.Vpc:
        address = ec2.CfnEIP(self, "Address", domain="vpc")
        if self._stage.keep_data:
            # Others have it on their lists: it outlives the stack.
            address.apply_removal_policy(RemovalPolicy.RETAIN)
        return self._make_vpc(
            nat_gateways=1,
            nat_gateway_provider=ec2.NatProvider.gateway(eip_allocation_ids=[address.attr_allocation_id]),
            subnet_configuration=[
                self._public(),
                ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20),
            ],
        )

    def _public(self) -> ec2.SubnetConfiguration:
        # Only what asks for a public address gets one.
        return ec2.SubnetConfiguration(
            name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=20, map_public_ip_on_launch=False
        )

    def _make_vpc(
        self,
        *,
        nat_gateways: int,
        subnet_configuration: list[ec2.SubnetConfiguration],
        nat_gateway_provider: ec2.NatProvider | None = None,
    ) -> ec2.Vpc:
        return ec2.Vpc(
            self,
            "Vpc",
            vpc_name=f"recado-{self._stage.name}",
            ip_addresses=ec2.IpAddresses.cidr(_ADDRESSES),
            max_azs=2,
            nat_gateways=nat_gateways,
            nat_gateway_provider=nat_gateway_provider,
            subnet_configuration=subnet_configuration,
        )

    def _log_what_is_refused(self) -> None:
        group = logs.LogGroup(
            self,
            "RefusedTraffic",
            log_group_name=f"/recado/{self._stage.name}/refused-traffic",
            retention=logs.RetentionDays.ONE_WEEK,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.vpc.add_flow_log(
            "Refused",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )

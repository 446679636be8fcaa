// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC7821} from "@openzeppelin/contracts/interfaces/draft-IERC7821.sol";
import {ERC7821} from "@openzeppelin/contracts/account/extensions/draft-ERC7821.sol";
import {Account as OzAccount} from "@openzeppelin/contracts/account/Account.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {AccountBase} from "../../src/account/AccountBase.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {OpenVPPAccountFactory} from "../../src/account/OpenVPPAccountFactory.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";

contract SecondImplementation is OpenVPPAccount {
    constructor(address entryPoint_, OpenVPPAccount selfCustody) OpenVPPAccount(entryPoint_, selfCustody) {}

    function generation() external pure returns (uint256) {
        return 2;
    }
}

contract CreateAccountTest is World {
    function test_ownerDeploysAtTheKnownAddress() public {
        vm.expectEmit(address(factory));
        emit OpenVPPAccountFactory.AccountCreated(address(account), vm.addr(OWNER), SALT);
        deploy();
        equal(account.owner(), vm.addr(OWNER), "owner");
        equal(account.entryPoint(), address(entryPoint), "entry point");
    }

    function test_senderCreatorDeploys() public {
        vm.prank(address(entryPoint.senderCreator()));
        equal(factory.createAccount(vm.addr(OWNER), SALT), address(account), "address");
    }

    function test_returnsTheAccountThatStands() public {
        deploy();
        vm.prank(vm.addr(OWNER));
        equal(factory.createAccount(vm.addr(OWNER), SALT), address(account), "address");
    }

    function test_refusesStrangers() public {
        vm.expectRevert(abi.encodeWithSelector(OpenVPPAccountFactory.NotSenderCreatorOrOwner.selector, address(this)));
        factory.createAccount(vm.addr(OWNER), SALT);
    }

    function testFuzz_anotherOwnerIsAnotherAddress(uint160 owner, bytes32 salt) public view {
        vm.assume(address(owner) != vm.addr(OWNER) || salt != SALT);
        isTrue(factory.accountAddress(address(owner), salt) != address(account), "another address");
    }
}

contract CreateAccountWithSessionTest is World {
    function test_deploysAndInstallsWhoeverBringsIt() public {
        open();
        equal(account.owner(), vm.addr(OWNER), "owner");
        equal(flagsOf(packed()), 1, "flags");
    }

    function test_worksOnAnAccountThatStands() public {
        deploy();
        open();
        equal(flagsOf(packed()), 1, "flags");
    }

    function test_refusesAnothersSignature() public {
        bytes memory forged = leaveBy(STRANGER, packed(), address(account));
        vm.expectRevert();
        factory.createAccountWithSession(vm.addr(OWNER), SALT, packed(), forged);
        equal(address(account).code.length, 0, "nothing stands");
    }
}

contract UpgradeToAndCallTest is World {
    SecondImplementation private second;

    function setUp() public override {
        super.setUp();
        open();
        second = new SecondImplementation(address(entryPoint), selfCustody);
    }

    event Upgraded(address indexed implementation);

    function test_replacesTheImplementationAndKeepsState() public {
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 9, 0, false);
        announce(abi.encodeCall(AccountControl.upgradeToAndCall, (address(second), "")));
        vm.expectEmit(address(account));
        emit Upgraded(address(second));
        control.upgradeToAndCall(address(second), "");
        equal(SecondImplementation(payable(address(account))).generation(), 2, "generation");
        equal(account.owner(), vm.addr(OWNER), "owner");
        equal(spent(), 9, "spent");
        bytes32 slot = vm.load(address(account), ERC1967Utils.IMPLEMENTATION_SLOT);
        equal(slot, bytes32(uint256(uint160(address(second)))), "ERC-1967 slot");
    }

    function test_refusesOthersAndWhatWasNotAnnounced() public {
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        control.upgradeToAndCall(address(second), "");
        bytes memory call = abi.encodeCall(AccountControl.upgradeToAndCall, (address(second), ""));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), 0));
        asOwner();
        control.upgradeToAndCall(address(second), "");
    }

    function _refuses(address next) private {
        announce(abi.encodeCall(AccountControl.upgradeToAndCall, (next, "")));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.NotAnImplementation.selector, next));
        control.upgradeToAndCall(next, "");
    }

    function test_refusesWhatIsNoImplementation() public {
        _refuses(address(usd));
        _refuses(address(account));
        _refuses(address(0x7777));
    }

    function test_implementationItselfObeysNobody() public {
        equal(implementation.owner(), address(0), "owner");
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(0)));
        vm.prank(address(0));
        AccountControl(address(implementation)).upgradeToAndCall(address(second), "");
    }
}

contract ExecuteTest is World {
    bytes32 private constant BATCH = bytes32(uint256(1) << 248);

    struct Call {
        address to;
        uint256 value;
        bytes data;
    }

    function setUp() public override {
        super.setUp();
        deploy();
        vm.deal(address(account), 1 ether);
    }

    function _batch() private view returns (bytes memory) {
        Call[] memory calls = new Call[](2);
        calls[0] = Call(address(usd), 0, abi.encodeCall(usd.transfer, (PAYEE, 5)));
        calls[1] = Call(PAYEE, 7, "");
        return abi.encode(calls);
    }

    function test_ownerCallsInABatch() public {
        asOwner();
        account.execute(BATCH, _batch());
        equal(usd.balanceOf(PAYEE), 5, "usd");
        equal(PAYEE.balance, 7, "native");
    }

    function test_allOrNothing() public {
        vm.deal(address(account), 0);
        vm.expectRevert();
        asOwner();
        account.execute(BATCH, _batch());
        equal(usd.balanceOf(PAYEE), 0, "usd");
    }

    function test_refusesOthersAndOtherModes() public {
        vm.expectRevert(abi.encodeWithSelector(OzAccount.AccountUnauthorized.selector, address(this)));
        account.execute(BATCH, _batch());
        vm.expectRevert(ERC7821.UnsupportedExecutionMode.selector);
        asOwner();
        account.execute(bytes32(0), _batch());
        isTrue(account.supportsExecutionMode(BATCH), "batch");
        isTrue(!account.supportsExecutionMode(bytes32(0)), "single");
    }
}

contract IsValidSignatureTest is World {
    bytes32 private constant HASH = keccak256("what the app asks for");

    function setUp() public override {
        super.setUp();
        deploy();
    }

    /// @dev ERC-7739's nested personal signature.
    function _nested(address who) private view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), HASH));
        return keccak256(abi.encodePacked("\x19\x01", Policies.domain(who), structHash));
    }

    function test_acceptsTheOwnersNestedSignature() public view {
        bytes4 answer = account.isValidSignature(HASH, sign(OWNER, _nested(address(account))));
        isTrue(answer == IERC1271.isValidSignature.selector, "magic value");
    }

    function test_refusesOthersAndOtherAccounts() public view {
        isTrue(account.isValidSignature(HASH, sign(STRANGER, _nested(address(account)))) == 0xffffffff, "stranger");
        isTrue(account.isValidSignature(HASH, sign(OWNER, _nested(address(this)))) == 0xffffffff, "another account");
        isTrue(account.isValidSignature(HASH, sign(OWNER, HASH)) == 0xffffffff, "plain");
    }

    function test_saysThatItSupportsERC7739() public view {
        bytes32 probe = 0x7739773977397739773977397739773977397739773977397739773977397739;
        isTrue(account.isValidSignature(probe, "") == 0x77390001, "magic value");
    }
}

contract SupportsInterfaceTest is World {
    function test_saysWhatItDoes() public {
        deploy();
        isTrue(account.supportsInterface(type(IERC165).interfaceId), "ERC-165");
        isTrue(account.supportsInterface(type(IERC1271).interfaceId), "ERC-1271");
        isTrue(account.supportsInterface(type(IERC7821).interfaceId), "ERC-7821");
        isTrue(account.supportsInterface(type(IERC1155Receiver).interfaceId), "ERC-1155 receiver");
        isTrue(!account.supportsInterface(0xffffffff), "none");
        isTrue(account.onERC721Received(address(0), address(0), 0, "") == account.onERC721Received.selector, "721");
        vm.deal(address(this), 1);
        (bool sent,) = payable(address(account)).call{value: 1}("");
        isTrue(sent, "takes native coin");
    }
}
